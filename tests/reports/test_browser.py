"""The pages in a real browser: nothing runs, nothing is asked for, nothing sticks out."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reports import html
from reports.content import ReportContent
from reports.sections import figures
from resnext.contracts.tables import confusion_table
from tests.reports.sections.test_images import RIGHT, entry, known
from tests.reports.test_comparison import write_page
from tests.reports.test_html import EVIL, MANIFEST, METRICS, PAIR, PNG, content, scores
from tests.reports.test_plan import write_page as write_plan

CHROMIUM = shutil.which("chromium")
HOSTILE = "a\"b'c\nd<img src=x onerror=alert(1)>=1+1.jpg"
STICKING_OUT = """() => [...document.querySelectorAll("main *")].filter((element) =>
    !element.closest(".scroll") && element.getBoundingClientRect().right > innerWidth + 1
).map((element) => element.outerHTML.slice(0, 80))"""

BROKEN_WORDS = """() => {
    const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const node = texts.currentNode;
        if (node.parentElement.closest("script, style, pre, .path, details")) continue;
        for (const word of node.data.matchAll(/[\\p{L}]{2,24}/gu)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1)
                found.push(word[0]);
        }
    }
    return found;
}"""
NAMES = ["pigmented benign keratosis", "dermatofibroma", "melanoma", "squamous cell carcinoma"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


class Seen:
    """A page that was opened, and what it did."""

    def __init__(self, browser: Browser, file: Path, width: int, scheme: Any) -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())


def hostile(classes: list[str]) -> ReportContent:
    per_class = scores(classes, recall=[0.9 - 0.001 * place for place in range(len(classes))])
    low, high = [0.1] * len(classes), [0.95] * len(classes)
    return content(
        classes,
        data_name=EVIL,
        title=EVIL,
        per_class=per_class.assign(recall_low=low, recall_high=high),
        metrics=METRICS | {"accuracy_ci95": [0.4, 0.7]},
        confusion=confusion_table(np.eye(len(classes), dtype=int) + 1, classes, classes),
        manifest=MANIFEST.assign(path=HOSTILE),
        pairs={"listed": [{**PAIR, "path": HOSTILE, "label": EVIL}]},
        command=HOSTILE,
        explained=known(
            *(entry(path=HOSTILE, label=EVIL, predicted=name, error=EVIL) for name in classes[:9]),
            entry(**RIGHT),
        ),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 940, 1600])
@pytest.mark.parametrize("classes", [2, 9, 100])
def test_hostile_names_do_nothing_and_nothing_sticks_out(
    browser: Browser, tmp_path: Path, classes: int, width: int, scheme: str
) -> None:
    names = [EVIL, "猴痘", *(f"class {n} with a long name" for n in range(classes - 2))]
    file = tmp_path / "report.html"
    file.write_text(html.render_report(hostile(names)), encoding="utf-8")
    seen = Seen(browser, file, width, scheme)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [file.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.evaluate(STICKING_OUT) == []
    assert EVIL in seen.page.inner_text("h1")
    seen.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_the_page_of_a_comparison_opens_offline_and_nothing_sticks_out(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    file = write_page(tmp_path, "default", EVIL, *(f"a network of name {n}" for n in range(9)))
    seen = Seen(browser, file, width, scheme)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [file.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.evaluate(STICKING_OUT) == []
    seen.page.get_by_role("button", name="Adjusted p").click()
    names = seen.page.locator(".sortable tbody th").all_inner_texts()
    assert names[-1] == "default", "it has no p value"
    seen.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_the_page_of_a_plan_opens_offline_and_nothing_sticks_out(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    file = write_plan(tmp_path, {EVIL * 5: 9, "b": 90}, name=EVIL * 5)
    seen = Seen(browser, file, width, scheme)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [file.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.evaluate(STICKING_OUT) == []
    seen.page.close()


def test_a_heading_sorts_the_table_both_ways(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    table = scores(["b", "a", "c"], recall=[0.5, 0.9, float("nan")])
    text = html.render_report(content(["a", "b", "c"], per_class=table))
    file.write_text(text, encoding="utf-8")
    seen = Seen(browser, file, 940, "light")
    button = seen.page.get_by_role("button", name="Recall")

    def order() -> list[str]:
        return seen.page.locator(".sortable tbody th").all_inner_texts()

    assert order() == ["b", "a", "c"]
    button.click()
    assert order() == ["a", "b", "c"]
    button.click()
    assert order() == ["b", "a", "c"], "what is undefined stays last"
    seen.page.get_by_role("button", name="Class").click()
    assert order() == ["c", "b", "a"]
    assert seen.said == []
    seen.page.close()


def test_another_script_does_not_run(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    text = html.render_report(content())
    file.write_text(text.replace("</main>", f"</main>{EVIL}"), encoding="utf-8")
    seen = Seen(browser, file, 940, "light")
    assert len(seen.said) == 1
    assert "Content Security Policy" in seen.said[0]
    seen.page.close()


def ordinary(folder: Path) -> Path:
    """Write a report with a figure that has a variant for phones, and advice."""
    panels = {"curves": PNG, "curves_narrow": PNG + b"narrow"}
    metrics = METRICS | {"few_groups": True, "accuracy_ci95": [0.5, 0.6]}
    settings = {"Training": {"--weights": "bundled (ImageNet, tf_efficientnet_lite2), licence"}}
    given = content(NAMES, figures=panels, metrics=metrics, settings=settings)
    file = folder / "report.html"
    file.write_text(html.render_report(given), encoding="utf-8")
    return file


def test_on_a_phone_no_word_is_broken_and_panels_stand_below_each_other(
    browser: Browser, tmp_path: Path
) -> None:
    file = ordinary(tmp_path)
    shown = {}
    for width in (390, 1100):
        seen = Seen(browser, file, width, "dark")
        assert seen.page.evaluate(BROKEN_WORDS) == []
        shown[width] = seen.page.evaluate("document.querySelector('img.stacks').currentSrc")
        assert seen.said == []
        seen.page.close()
    sources = {
        width: figures.data_uri(PNG + (b"narrow" if width == 390 else b"")) for width in shown
    }
    assert shown == sources


def test_the_summary_fits_a_screen_figures_are_dark_and_the_contents_lead_to_sections(
    browser: Browser, tmp_path: Path
) -> None:
    seen = Seen(browser, ordinary(tmp_path), 1280, "dark")
    look = "getComputedStyle(document.querySelector('.drawn')).filter"
    assert seen.page.evaluate(look).startswith("invert(1)")
    bottom = "document.querySelector('.summary').getBoundingClientRect().bottom"
    assert seen.page.evaluate(bottom) <= 900
    seen.page.get_by_role("navigation").get_by_role("link", name="Limits").click()
    place = "document.getElementById('limits').getBoundingClientRect().top"
    assert 0 <= seen.page.evaluate(place) < 900
    seen.page.emulate_media(media="print")
    assert seen.page.evaluate(look) == "none", "on paper they are light"
    assert not seen.page.get_by_role("navigation").is_visible()
    seen.page.close()


def test_a_name_without_a_space_leaves_room_for_the_numbers(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(html.render_report(content(["n" * 90, "b"])), encoding="utf-8")
    phone = Seen(browser, file, 390, "light")
    box = phone.page.locator(".sortable tbody th").first.bounding_box()
    assert box is not None
    assert box["width"] <= 390 / 2
    phone.page.close()
    desk = Seen(browser, file, 1100, "light")
    scrolled = "document.querySelector('.scroll:has(.sortable)')"
    assert desk.page.evaluate(f"{scrolled}.scrollWidth <= {scrolled}.clientWidth")
    desk.page.close()


def test_what_is_scrolled_on_the_screen_fits_the_paper(browser: Browser, tmp_path: Path) -> None:
    names = ["n" * 90, *(f"class {n} with a long name" for n in range(9))]
    file = tmp_path / "report.html"
    file.write_text(html.render_report(hostile(names)), encoding="utf-8")
    seen = Seen(browser, file, 673, "light")  # A4 less its margins
    seen.page.emulate_media(media="print")
    cut = """[...document.querySelectorAll(".scroll > table")].filter((table) =>
        table.getBoundingClientRect().right > document.querySelector("main").offsetWidth + 1
    ).map((table) => table.parentElement.ariaLabel)"""
    assert seen.page.evaluate(cut) == []
    seen.page.close()
