import base64
import dataclasses
import hashlib
import itertools
import math
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import html
from reports.evaluation.metrics import CLASS_METRICS
from reports.sections import score
from resnext.contracts.tables import confusion_table

EVIL = "<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (750).to_bytes(4, "big") + b"\x00" * 8
SVG = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="360.5pt" height="9pt"/>'


def scores(classes: list[str], **columns: list[float]) -> pd.DataFrame:
    table = {"class": classes, "support": [3] * len(classes)}
    shares = {m.name: [0.5] * len(classes) for m in CLASS_METRICS if m.in_percent}
    return pd.DataFrame(table | shares | columns)


def split_table(classes: list[str]) -> pd.DataFrame:
    rows = [
        ("a.jpg", classes[0], "p1", 0, "train", ""),
        ("b.jpg", classes[0], "p1", 0, "train", ""),
        ("c.jpg", classes[1], "p2", 0, "val", ""),
        ("d.jpg", classes[1], "p3", 0, "test", ""),
        ("e.jpg", classes[1], "p3", 1, "unused", "augmented copy"),
    ]
    return pd.DataFrame(rows, columns=["path", "label", "group", "copy", "split", "reason"])


MANIFEST = pd.DataFrame(
    {
        "path": ["a.jpg", "b.jpg", "c.jpg"],
        "label": ["Monkeypox", "Others", "Others"],
        "sha256": ["s1", "s2", "s2"],
        "phash": ["0" * 16] * 3,
        "bytes": [100, 200, 300],
        "width": [224] * 3,
        "height": [224] * 3,
        "mode": ["RGB"] * 3,
        "format": ["JPEG"] * 3,
        "orientation": [1] * 3,
    }
)
THUMBNAIL = "data:image/jpeg;base64,/9j/4AAQ"
PAIR = {
    "kind": "near",
    "path": "Monkeypox/M01_01.jpg",
    "label": "Monkeypox",
    "part": "test",
    "picture": THUMBNAIL,
    "other": "Monkeypox/M01_02.jpg",
    "other_label": "Monkeypox",
    "other_part": "train",
    "other_picture": THUMBNAIL,
    "detail": "correlation 0.998, mirrored left to right",
}
HISTORY = pd.DataFrame(
    {
        "epoch": [1],
        "lr": [0.001],
        "train_loss": [0.7],
        "train_accuracy": [0.6],
        "val_loss": [math.nan],
        "val_accuracy": [math.nan],
    }
)
NONE, SOME = {"count": 0, "share": 0.0}, {"count": 9, "share": 0.9}
LEAKAGE = {
    "strategy": "grouped",
    "drawn": {"test_pictures": 10, "copy": NONE, "any": NONE},
    "random": {"test_pictures": 10, "copy": SOME, "any": SOME},
}
METRICS = {
    "n": 428,
    "groups": 31,
    "accuracy": 0.578,
    "balanced_accuracy": 0.419,
    "macro_f1": 0.4,
    "auroc": 0.61234,
    "majority_accuracy": 0.556,
    "log_loss": 0.7,
}


def content(classes: list[str] | None = None, **changes: Any) -> html.ReportContent:
    classes = classes or ["Monkeypox", "Others"]
    built = html.ReportContent(
        title="Report",
        data_name="photographs",
        synthetic=False,
        classes=classes,
        settings={"Training": {"epochs": "30"}},
        manifest=MANIFEST,
        split=split_table(classes),
        quarantine=pd.DataFrame({"path": ["x.jpg"], "reason": ["truncated"]}),
        leakage=LEAKAGE,
        pairs={},
        per_class=scores(classes),
        metrics=METRICS,
        confusion=confusion_table(np.eye(len(classes), dtype=int) + 1, classes, classes),
        history=HISTORY,
        figures={"curves": PNG, "confusion": SVG},
        command="python flows/full_pipeline.py --data pictures",
        environment={"Python": "3.11"},
        notes=("Read this first.",),
    )
    return dataclasses.replace(built, **changes)


class Page(HTMLParser):
    """Read a page as a browser would: its tags with attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").split())

    def attributes(self, name: str) -> list[str]:
        return [str(found[name]) for _, found in self.tags if name in found]


def render(**changes: Any) -> Page:
    return Page(html.render_report(content(**changes)))


def test_the_headline_stands_beside_the_baseline() -> None:
    text = render().text
    assert "Right on 57.8 % of 428 test pictures of 31 groups." in text
    assert "2.2 percentage points above always answering “Monkeypox” (55.6 %)." in text
    assert "Balanced accuracy 41.9 %" in text


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [(0.5, "5.6 percentage points below always"), (0.5561, "Just as often right as always")],
)
def test_a_score_that_is_no_better_than_the_baseline_says_so(accuracy: float, words: str) -> None:
    metrics = {**content().metrics, "accuracy": accuracy}
    assert words in score.verdict(metrics, scores(["Monkeypox", "Others"]))


def test_no_test_picture_gives_a_page_without_a_score() -> None:
    empty = dict.fromkeys(content().metrics, None) | {"n": 0, "groups": 0}
    text = render(metrics=empty).text
    assert "No score. No test picture could be evaluated" in text
    assert "AUROC n/a" in text


def test_sections_stand_in_the_order_of_reading_under_headings_in_order() -> None:
    page = render()
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [str(found["id"]) for tag, found in page.tags if tag == "h2"]
    assert ids == [
        *("asked", "data", "classes", "figures", "recipe", "environment", "reproduce", "limits"),
    ]


def test_a_synthetic_set_has_a_banner_and_a_real_one_has_none() -> None:
    assert "Synthetic data. The pictures are drawings" in render(synthetic=True).text
    assert "Nothing can be concluded from this report about patients" in render(synthetic=True).text
    assert "ynthetic" not in render(synthetic=False).text


def test_names_from_the_data_are_text_and_never_markup() -> None:
    quarantine = pd.DataFrame(
        {"path": ["\"><img src=x onerror=alert(1)>\nsecond line'"], "reason": [EVIL]}
    )
    split = content([EVIL, "b"]).split
    page = render(
        classes=[EVIL, "b"],
        title=EVIL,
        data_name=EVIL,
        quarantine=quarantine,
        split=split.assign(reason=EVIL),
        settings={EVIL: {EVIL: EVIL}},
        environment={EVIL: EVIL},
        command=EVIL + '" onload="alert(1)',
        notes=[EVIL],
        figures={EVIL: PNG, 'x" onerror="alert(1)': SVG},
        manifest=MANIFEST.assign(path=EVIL, label=EVIL, mode=EVIL, format=EVIL),
        leakage={
            "strategy": EVIL,
            "scheme": {"name": EVIL, "evidence": EVIL},
            "largest_group": {"name": EVIL, "photographs": 1, "share": 1.0},
            "drawn": {},
            "random": {},
            "warnings": [EVIL],
        },
        pairs={name: [dict.fromkeys(PAIR, EVIL)] for name in ("crossing", "joined", "listed")},
    )
    tags = [tag for tag, _ in page.tags]
    assert set(tags).isdisjoint({"iframe", "object", "embed", "link"})
    assert tags.count("script") == 1, "the page's own"
    assert [found["src"] for tag, found in page.tags if tag == "img" and "src" in found]
    assert all(source.startswith("data:image/") for source in page.attributes("src"))
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert EVIL in page.text


def test_the_file_asks_for_nothing_outside_itself() -> None:
    text = html.render_report(content())
    page = Page(text)
    policy = [found for tag, found in page.tags if found.get("http-equiv")]
    assert "default-src 'none'" in str(policy[0]["content"])
    assert not page.attributes("href")
    assert "@import" not in text
    assert "url(" not in text
    assert "http" not in re.sub(r"http-equiv|data:[^\"]*", "", text)


def test_figures_are_embedded_with_an_alternative_text_and_their_width() -> None:
    images = [found for tag, found in render().tags if tag == "img"]
    kinds = [str(found["src"]).split(";")[0] for found in images]
    assert kinds == ["data:image/png", "data:image/svg+xml"]
    assert [str(found["style"]).split(";")[0] for found in images] == [
        "width: 480px",
        "width: 481px",
    ]
    assert (
        images[0]["alt"] == "Learning curves over 1 epoch. At the end: train accuracy 60.0\u00a0%."
    )
    assert images[1]["alt"] == (
        "Confusion matrix of 2 classes: 4 of 6 test pictures on the diagonal."
    )


def test_undefined_values_read_na_and_never_zero() -> None:
    table = scores(["猴痘", "NA"], recall=[math.nan, 1.0])
    assert "猴痘 3 50.0 % n/a 50.0 % 50.0 %" in render(classes=["猴痘", "NA"], per_class=table).text


def test_leaks_are_a_warning_beside_what_a_random_split_leaks() -> None:
    assert "another copy of the same photograph 0 (0.0 %) 9 (90.0 %)" in render().text
    assert "No test picture is known to have a relative in train." in render().text
    unknown = {**LEAKAGE, "scheme": {"name": None}}
    assert "the file names follow no known scheme" in render(leakage=unknown).text
    leakage = {"drawn": {"any": {"count": 1, "share": 0.1}}, "random": None}
    assert "1 test picture (10.0 %) has a relative in train: the score is too good" in (
        render(leakage=leakage).text
    )
    assert "was not counted" in render(leakage=None).text


def test_unused_pictures_are_counted_by_reason() -> None:
    assert "Unused: 1 (augmented copy)." in render().text


def test_the_folder_and_the_split_are_told_in_facts() -> None:
    text = render(leakage={**LEAKAGE, "scheme": {"evidence": "Names tell patients."}}).text
    assert "Imbalance “Others” is 2.0 times as large as “Monkeypox” (2 against 1)" in text
    assert "Identical files 1 surplus file in 1 set" in text
    assert "Unusable files 1" in text
    assert "Strategy grouped: by class" in text
    assert "How groups were found Names tell patients." in text


def test_whether_something_leaked_is_said_once_and_before_the_score() -> None:
    text = Page(html.render_report(content())).text
    assert text.count("No test picture is known to have a relative in train.") == 1
    assert text.index("No test picture is known") < text.index("of 428 test pictures")


def test_what_a_random_split_hides_stands_beside_the_verdict() -> None:
    text = render().text
    assert "A random split would have tested on 9 of 10 pictures (90.0 %) whose copies" in text
    assert "Warnings about the split" not in text
    warned = render(leakage={**LEAKAGE, "warnings": ["Group 'M01' holds a tenth."]}).text
    assert "Warnings about the split Group 'M01' holds a tenth." in warned


def test_label_conflicts_are_shown_by_name_and_cut() -> None:
    reasons = [f"label conflict: identical to x{place:02d}.jpg" for place in range(25)]
    split = pd.DataFrame({"path": "a.jpg", "label": "Others", "group": "g", "reason": reasons})
    text = render(split=split.assign(copy=0, split="unused")).text
    assert "25 pictures left out because the same picture stands under two classes" in text
    assert "a.jpg identical to x19.jpg" in text
    assert "x20.jpg" not in text
    assert "The first 20 of 25; all are in split.csv." in text
    assert "two classes" not in render().text


def test_pairs_are_shown_side_by_side_with_their_names_and_what_they_are() -> None:
    page = render(pairs={"joined": [PAIR]}, figures={})
    images = [found for tag, found in page.tags if tag == "img"]
    assert [found["src"] for found in images] == [THUMBNAIL] * 2
    assert [found["alt"] for found in images] == [
        "Thumbnail of M01_01.jpg, class Monkeypox, part Test",
        "Thumbnail of M01_02.jpg, class Monkeypox, part Train",
    ]
    assert (
        "M01_01.jpg Monkeypox · Test M01_02.jpg Monkeypox · Train "
        "near-duplicate , correlation 0.998, mirrored left to right"
    ) in page.text


def test_pairs_that_cross_are_a_warning_and_none_are_said_to_be_none() -> None:
    assert "Warning: on both sides of this split" in render(pairs={"crossing": [PAIR]}).text
    text = render(pairs={"crossing": [], "joined": []}).text
    assert "find every augmented, cropped or recoloured copy" in text
    assert "No pair was found that is worth a look." in text


def test_a_picture_that_is_no_thumbnail_is_not_shown() -> None:
    pair = {**PAIR, "picture": "https://example.org/x.jpg", "other_picture": f"{THUMBNAIL}{EVIL}"}
    text = html.render_report(content(pairs={"listed": [pair]}, figures={}))
    assert not [tag for tag, _ in Page(text).tags if tag == "img"]
    assert "example.org" not in text
    assert "/9j/4AAQ" not in text
    assert Page(text).text.count("no thumbnail") == 2


def test_a_long_quarantine_is_cut_and_counted() -> None:
    names = [f"{place:02d}.jpg" for place in range(25)]
    text = render(quarantine=pd.DataFrame({"path": names, "reason": "empty"})).text
    assert "25 files could not be used" in text
    assert "The first 20 of 25" in text
    assert "20.jpg" not in text


def test_history_names_the_test_part_where_there_is_no_validation() -> None:
    split = content().split
    assert "Validation accuracy" in render().text
    assert "Test accuracy" in render(split=split[split["split"] != "val"]).text


@pytest.mark.parametrize("count", [2, 9, 100])
def test_any_number_of_classes_gives_a_row_each(count: int) -> None:
    classes = [f"class {place}" for place in range(count)]
    page = render(classes=classes)
    assert page.text.count("50.0 % 50.0 % 50.0 % 50.0 %") == count
    assert (f"and {count - 12} more" in page.text) is (count > 12)


def test_a_file_name_that_is_not_utf8_can_be_written() -> None:
    quarantine = pd.DataFrame({"path": ["\udcff.jpg"], "reason": ["unreadable"]})
    assert html.render_report(content(quarantine=quarantine)).encode("utf-8")


def test_equal_contents_give_equal_text() -> None:
    assert html.render_report(content()) == html.render_report(content())


def test_the_one_script_is_the_one_that_the_policy_names() -> None:
    text = html.render_report(content())
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    named = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{named}'" in text


def test_scores_stand_with_their_intervals() -> None:
    metrics = METRICS | {"accuracy_ci95": [0.4, 0.7], "auroc_ci95": [0.5, 0.7]}
    per_class = scores(["a", "b"], recall_low=[0.1, math.nan], recall_high=[0.9, math.nan])
    text = render(metrics=metrics, per_class=per_class).text
    assert "95 % interval: 40.0 % to 70.0 %" in text
    assert "0.612 95 %: 0.500 to 0.700" in text
    assert "10 to 90 %" in text
