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
from reports.content import ReportContent
from reports.evaluation.metrics import CLASS_METRICS
from reports.sections import contents, run
from resnext.contracts.tables import confusion_table
from tests.reports.figures.samples import history

EVIL = "<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (750).to_bytes(4, "big") + b"\x00" * 8


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
        "width": 224,
        "height": 224,
        "mode": "RGB",
        "format": "JPEG",
        "orientation": 1,
    }
)
THUMBNAIL = "data:image/jpeg;base64,/9j/4AAQ"
PAIR = {
    "kind": "near",
    "path": "Monkeypox/M01_01.jpg",
    "label": "Monkeypox",
    "part": "test",
    "picture": THUMBNAIL,
    "other": "Others/M01_02.jpg",
    "other_label": "Others",
    "other_part": "train",
    "other_picture": THUMBNAIL,
    "detail": "correlation 0.998, mirrored left to right",
}
HISTORY = history(1, measured=False).assign(train_accuracy=0.6)
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


def content(classes: list[str] | None = None, **changes: Any) -> ReportContent:
    classes = classes or ["Monkeypox", "Others"]
    built = ReportContent(
        title="Report",
        data_name="skin",
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
        figures={"curves": PNG, "confusion": PNG},
        command="python flows/full_pipeline.py --data images",
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

    @property
    def levels(self) -> list[int]:
        """Give the levels of the headings, in their order."""
        return [int(tag[1]) for tag, _ in self.tags if re.fullmatch("h[1-6]", tag)]

    def attributes(self, name: str) -> list[str]:
        return [str(found[name]) for _, found in self.tags if name in found]


def render(**changes: Any) -> Page:
    return Page(html.render_report(content(**changes)))


# ---------------------------------------------------------------- what the page says


def test_the_headline_stands_with_the_baseline_and_the_intervals() -> None:
    text = render().text
    assert "Right on 57.8 % of 428 test images of 31 groups." in text
    assert "2.2 percentage points above always answering “Monkeypox” (55.6 %)." in text
    assert "Balanced accuracy 41.9 %" in text
    metrics = METRICS | {"accuracy_ci95": [0.4, 0.7], "auroc_ci95": [0.5, 0.7]}
    per_class = scores(["a", "b"], recall_low=[0.1, math.nan], recall_high=[0.9, math.nan])
    text = render(metrics=metrics, per_class=per_class).text
    assert "95 % interval: 40.0 % to 70.0 %" in text
    assert "0.612 95 %: 0.500 to 0.700" in text
    assert "10 to 90 %" in text


def test_undefined_values_read_na_and_never_zero() -> None:
    empty = dict.fromkeys(METRICS, None) | {"n": 0, "groups": 0}
    text = render(metrics=empty).text
    assert "No score. No test image could be evaluated" in text
    assert "AUROC n/a" in text
    table = scores(["猴痘", "NA"], recall=[math.nan, 1.0])
    assert "猴痘 3 50.0 % n/a 50.0 % 50.0 %" in render(classes=["猴痘", "NA"], per_class=table).text


def test_sections_stand_in_the_order_of_reading_under_headings_in_order() -> None:
    page = render()
    assert page.levels[0] == 1
    assert page.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(page.levels))
    ids = [str(found["id"]) for tag, found in page.tags if tag == "h2"]
    assert ids == [
        *("asked", "score", "data", "classes", "figures", "recipe", "environment", "paper"),
        *("reproduce", "files", "limits"),
    ]


def test_the_list_of_contents_holds_every_section_of_the_page() -> None:
    page = render(metrics=METRICS, explained=None)
    ids = [str(found["id"]) for tag, found in page.tags if tag == "h2"]
    assert [each for each in page.attributes("href") if each.startswith("#")][: len(ids)] == [
        f"#{name}" for name in ids
    ]
    body = '<h2 id="a">One</h2><h2 id="b">Two &lt;</h2><h2 id="c">Three</h2>'
    assert contents.headings(body) == []
    assert contents.headings(f'{body}<h2 id="mine">Mine</h2>')[1::2] == [
        ("b", "Two &lt;"),
        ("mine", "Mine"),
    ]


def test_a_synthetic_set_has_a_banner_and_a_real_one_has_none() -> None:
    assert "Synthetic data. The images are drawings" in render(synthetic=True).text
    assert "Nothing can be concluded from this report about patients" in render(synthetic=True).text
    assert "ynthetic" not in render(synthetic=False).text


def test_what_leaks_is_said_once_before_the_score_with_what_a_random_split_hides() -> None:
    text = render().text
    assert "another copy of the same original 0 (0.0 %) 9 (90.0 %)" in text
    assert text.count("No test image is known to have a relative in train.") == 1
    assert text.index("No test image is known") < text.index("of 428 test images")
    assert "A random split would have tested on 9 of 10 images (90.0 %) whose copies" in text
    assert "Warnings about the split" not in text
    warned = render(leakage={**LEAKAGE, "warnings": ["group 'M01' holds a tenth."]}).text
    assert "Warnings about the split Group 'M01' holds a tenth." in warned
    leakage = {"drawn": {"any": {"count": 1, "share": 0.1}}, "random": None}
    assert "1 test image (10.0 %) has a relative in train: the score is too good" in (
        render(leakage=leakage).text
    )
    assert "was not counted" in render(leakage=None).text


def test_the_caption_of_a_table_stands_above_the_box_that_scrolls() -> None:
    page = html.render_report(content())
    words = "Each figure above its 95\u00a0% interval. Click a heading to sort."
    assert f'<p class="caption">{words}</p>\n<div class="scroll"' in page
    assert "<caption" not in page


def test_the_unused_part_counts_no_group_that_is_used_and_shows_no_nought() -> None:
    text = render(split=split_table(["Monkeypox", "Others"])).text
    assert "Monkeypox 2 0 0 \u2013 Others 0 1 1 1 All images 2 1 1 1 Groups 1 1 1 \u2013" in text


def test_the_folder_and_the_split_are_told_in_facts() -> None:
    text = render(leakage={**LEAKAGE, "scheme": {"evidence": "Names tell patients."}}).text
    for fact in (
        "Imbalance “Others” is 2.0 times as large as “Monkeypox” (2 against 1)",
        "Identical files 1 surplus file in 1 set",
        "Unusable files 1",
        "Strategy grouped: by class",
        "How groups were found Names tell patients.",
        "Unused: 1 (augmented copy).",
    ):
        assert fact in text


def test_long_lists_are_cut_and_counted() -> None:
    reasons = [f"label conflict: identical to x{number:02d}.jpg" for number in range(25)]
    split = pd.DataFrame({"path": "a.jpg", "label": "Others", "group": "g", "reason": reasons})
    names = [f"{number:02d}.png" for number in range(25)]
    quarantine = pd.DataFrame({"path": names, "reason": "empty"})
    text = render(split=split.assign(copy=0, split="unused"), quarantine=quarantine).text
    assert "25 images left out because the same image is in two classes" in text
    assert "a.jpg identical to x19.jpg" in text
    assert "The first 20 of 25; all are in split.csv." in text
    assert "25 files could not be used" in text
    assert "The first 20 of 25; all are in quarantine.csv." in text
    assert "x20.jpg" not in text
    assert "20.png" not in text
    assert "two classes" not in render().text


def test_history_names_the_test_part_where_there_is_no_validation() -> None:
    split = content().split
    assert "Validation accuracy" in render().text
    assert "Test accuracy" in render(split=split[split["split"] != "val"]).text


@pytest.mark.parametrize("count", [2, 9, 100])
def test_any_number_of_classes_gives_a_row_each(count: int) -> None:
    classes = [f"class {number}" for number in range(count)]
    page = render(classes=classes)
    assert page.text.count("50.0 % 50.0 % 50.0 % 50.0 %") == count
    assert (f"and {count - 12} more" in page.text) is (count > 12)


def test_figures_are_embedded_in_order_with_an_alternative_text_and_their_width() -> None:
    images = [found for tag, found in render().tags if tag == "img"]
    assert all(str(found["src"]).startswith("data:image/png;base64,") for found in images)
    assert all(str(found["style"]).startswith("width: 480px") for found in images)
    assert [found["alt"] for found in images] == [
        "Confusion matrix of 2 classes: 4 of 6 test images on the diagonal.",
        "Learning curves over 1 epoch. At the end: train accuracy 60.0\u00a0%.",
    ]


# ---------------------------------------------------------------- what the page may do


def test_names_from_the_data_are_text_and_never_markup() -> None:
    quarantine = pd.DataFrame(
        {"path": ["\"><img src=x onerror=alert(1)>\nsecond line'"], "reason": [EVIL]}
    )
    page = render(
        classes=[EVIL, "b"],
        title=EVIL,
        data_name=EVIL,
        quarantine=quarantine,
        split=split_table([EVIL, "b"]).assign(reason=EVIL),
        settings={EVIL: {EVIL: EVIL}},
        environment={EVIL: EVIL},
        command=EVIL + '" onload="alert(1)',
        notes=[EVIL],
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


def test_the_file_asks_for_nothing_outside_itself_and_runs_one_script() -> None:
    text = html.render_report(content())
    page = Page(text)
    (policy,) = [str(found["content"]) for _, found in page.tags if found.get("http-equiv")]
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    named = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{named}'" in policy
    ids = {f"#{name}" for name in page.attributes("id")}
    assert set(page.attributes("href")) <= ids | set(run.FILES), "places here, and files beside it"
    assert "@import" not in text
    assert "url(" not in text
    assert "http" not in re.sub(r"http-equiv|data:[^\"]*", "", text)


def test_a_file_name_that_is_not_utf8_can_be_written() -> None:
    quarantine = pd.DataFrame({"path": ["\udcff.jpg"], "reason": ["unreadable"]})
    assert html.render_report(content(quarantine=quarantine)).encode("utf-8")


def test_equal_contents_give_equal_text() -> None:
    assert html.render_report(content()) == html.render_report(content())


def test_flags_in_a_sentence_are_code_and_nothing_in_it_becomes_a_tag() -> None:
    said = "Give --groups FILE or --group-pattern '(?P<a>.+)', <b> a--b, --domain general."
    assert html.flags(said) == (
        "Give <code>--groups FILE</code> or "
        "<code>--group-pattern &#39;(?P&lt;a&gt;.+)&#39;</code>, &lt;b&gt; a--b, "
        "<code>--domain general</code>."
    )
