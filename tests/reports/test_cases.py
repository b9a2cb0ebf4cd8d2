"""Reports of ordinary and of odd evaluations, from predictions to the page."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.reports.built import build, save_small
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
    "thirty classes": lambda: both_parts(30, 90),
    "a class absent from test": lambda: both_parts(3).query(
        "split == 'val' or label != 'class 02'"
    ),
    "one image in test": lambda: both_parts(2).query("split == 'val' or path == 'test/0.jpg'"),
    "no image in test": lambda: both_parts(2).query("split == 'val'"),
    "all predictions one class": all_one_class,
    "every answer sure and right": always_sure_and_right,
}
SAYS = {
    "a class absent from test": ["n/a"],
    "one image in test": ["of 1 test image of 1 group", "too few for a firm score", "n/a"],
    "no image in test": ["No test image could be evaluated, so there is no score.", "n/a"],
    "all predictions one class": ["it has not learned to tell the classes apart", "n/a"],
}


@pytest.mark.parametrize("case", CASES)
def test_a_report_is_sensible(case: str, tmp_path: Path) -> None:
    text = build(CASES[case](), tmp_path, save_small)
    page = Page(text.partition("<main>")[2].partition("</main>")[0])  # no style, no script
    for words in SAYS.get(case, []):
        assert words in page.text
    shown = page.text.split()
    assert not {"nan", "NaN", "None", "inf", "-inf"} & set(shown)
    assert page.levels[0] == 1
    assert page.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(page.levels))
    images = [found for tag, found in page.tags if tag == "img"]
    assert len(images) >= 7
    assert all(found.get("alt") for found in images)


def test_a_report_of_three_thousand_predictions_takes_less_than_ten_seconds(
    tmp_path: Path,
) -> None:
    table = clustered(names(10), 1300, 3, split="test")
    assert len(table) >= 3_000
    begun = time.thread_time()  # not the clock, which others on the machine lengthen
    page = build(table, tmp_path)
    assert time.thread_time() - begun < 10
    assert len(page) < 3_000_000, "bytes, of figures above all"


def test_an_evaluation_is_made_without_torch_and_prefect() -> None:
    code = (
        "import sys; from reports import gallery, html; from reports.evaluation import evaluate; "
        "assert not {'torch', 'torchvision', 'prefect'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
