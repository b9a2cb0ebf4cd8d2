"""The page of doubts and its section in the report say how many there are, and where."""

import pandas as pd

from reports import html
from reports.doubts import DoubtsContent, render_doubts
from reports.model_card import render_card
from reports.sections.doubts import counts, crossing
from tests.reports.test_html import content

DOUBTS = pd.DataFrame(
    [
        (
            1,
            "near-duplicate",
            "a/<1>.png",
            "b/2.png",
            0.9,
            "a",
            "",
            "alike, on both sides of the split",
        ),
        (2, "label", "a/3.png", "", 0.8, "a", "b", "predicted b"),
    ],
    columns=["rank", "kind", "path", "other", "score", "label", "suggested", "reason"],
)
IMAGES = pd.DataFrame(
    {"path": ["a/<1>.png", "b/2.png", "a/3.png"], "label": ["a", "b", "a"], "group": list("xyz")}
).assign(split=["train", "test", "train"])


def test_kinds_are_counted_and_those_of_none_are_0() -> None:
    assert [*counts(DOUBTS).values()] == ["1", "0", "0", "1"]
    assert crossing(DOUBTS) == 1


def test_the_page_shows_each_kind_that_there_is_and_escapes_names() -> None:
    small = dict.fromkeys(IMAGES["path"], "data:image/jpeg;base64,AAAA")
    page = render_doubts(DoubtsContent("skin", False, DOUBTS, IMAGES, small))
    assert page.count('<figure class="pair">') == 2
    assert page.count("<img") == 3
    assert "a/&lt;1&gt;.png" in page
    assert "Groups that may be one</h2>" not in page
    empty = DoubtsContent("skin", True, DOUBTS.head(0), IMAGES, {})
    assert "Nothing was found that is worth a look" in render_doubts(empty)
    assert "Synthetic data." in render_doubts(empty)


def test_what_is_not_shown_is_counted() -> None:
    page = render_doubts(DoubtsContent("skin", False, DOUBTS, IMAGES, {}))
    assert "Shown: the first 0 of 1; all are in doubts.csv." in page


def test_the_report_says_how_many_and_links_to_them_where_they_were_looked_for() -> None:
    assert "doubts.html" not in html.render_report(content())
    page = html.render_report(content(doubts=DOUBTS))
    assert 'href="doubts.html"' in page
    words = "1 pair of images that look like one stands on both sides of the split"
    assert page.count(words) == 2, "where the score is read, and where the doubts are"
    assert "--decisions FILE" in page
    assert words in render_card(content(doubts=DOUBTS), "resnext50_32x4d")
    assert words not in html.render_report(content(doubts=DOUBTS.tail(1)))
