"""Reports of ordinary and of odd evaluations, from predictions to the page."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.reports.built import build
from tests.reports.evaluation.samples import clustered, predictions
from tests.reports.test_html import Page


def names(classes: int) -> list[str]:
    return [f"class {place:02d}" for place in range(classes)]


def both_parts(classes: int, groups: int = 60) -> pd.DataFrame:
    parts = [
        clustered(names(classes), groups, 1, split="test"),
        clustered(names(classes), groups, 2, split="val"),
    ]
    return pd.concat(parts, ignore_index=True)


def absent_from_test() -> pd.DataFrame:
    table = both_parts(3)
    return table[(table["split"] == "val") | (table["label"] != "class 02")]


def one_in_test() -> pd.DataFrame:
    table = both_parts(2)
    val, test = table[table["split"] == "val"], table[table["split"] == "test"]
    return pd.concat([val, test.head(1)])


def none_in_test() -> pd.DataFrame:
    table = both_parts(2)
    return table[table["split"] == "val"]


def all_one_class() -> pd.DataFrame:
    table = both_parts(3)
    first, *others = table.loc[table["split"] == "test", "label"].value_counts().index
    shares = {f"p_{first}": 0.8} | {f"p_{other}": 0.1 for other in others}
    return table.assign(predicted=first, confidence=0.8, **shares)


def always_sure_and_right() -> pd.DataFrame:
    true = ["class 00", "class 01"] * 30
    sure = [[1.0, 0.0], [0.0, 1.0]] * 30
    return pd.concat([predictions(names(2), true, sure, split=part) for part in ("test", "val")])


CASES: dict[str, Callable[[], pd.DataFrame]] = {
    "two classes": lambda: both_parts(2),
    "nine classes": lambda: both_parts(9),
    "a hundred classes": lambda: both_parts(100, 150),
    "a class absent from test": absent_from_test,
    "one picture in test": one_in_test,
    "no picture in test": none_in_test,
    "all predictions one class": all_one_class,
    "every answer sure and right": always_sure_and_right,
}
SAYS = {
    "a class absent from test": ["n/a"],
    "one picture in test": ["of 1 test picture of 1 group", "too few for a firm score", "n/a"],
    "no picture in test": ["No test picture could be evaluated, so there is no score.", "n/a"],
    "all predictions one class": ["Just as often right as always answering", "n/a"],
}


@pytest.mark.parametrize("case", CASES)
def test_a_report_is_sensible(case: str, tmp_path: Path) -> None:
    text = build(CASES[case](), tmp_path)
    page = Page(text.partition("<main>")[2].partition("</main>")[0])  # no style, no script
    for words in SAYS.get(case, []):
        assert words in page.text
    shown = page.text.split()
    assert not {"nan", "NaN", "None", "inf", "-inf"} & set(shown)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    images = [found for tag, found in page.tags if tag == "img"]
    assert len(images) >= 7
    assert all(found.get("alt") for found in images)


def test_a_report_of_ten_thousand_predictions_takes_less_than_ten_seconds(tmp_path: Path) -> None:
    table = clustered(names(10), 4100, 3, split="test")
    assert len(table) >= 10_000
    begun = time.thread_time()  # not the clock, which others on the machine lengthen
    build(table, tmp_path)
    assert time.thread_time() - begun < 10


def test_the_page_is_made_without_torch_and_prefect() -> None:
    code = (
        "import sys; from reports import gallery, html, model_card; "
        "from reports.evaluation import evaluate; "
        "print({'torch', 'torchvision', 'prefect', 'captum'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
