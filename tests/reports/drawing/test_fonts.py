from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager

from reports.drawing import fonts
from reports.drawing.style import save_figure
from reports.figures.confusion import plot_confusion
from resnext.contracts.tables import confusion_table
from tests.reports.figures.samples import tick_labels

CHINESE = "猴痘"


def drawn(names: list[str], folder: Path) -> list[str]:
    """Draw and save a figure with these names, a missing glyph would warn; give its labels."""
    figure = plot_confusion(confusion_table(np.eye(len(names), dtype=int), names, names))
    save_figure(figure, folder, "confusion")
    return tick_labels(figure)


def test_a_name_no_font_can_draw_is_numbered_and_said_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "WIDE_FONTS", ())
    names = ["NA", "猴痘", "水痘 mild"]
    assert drawn(names, tmp_path) == ["NA", "#2", "#3 mild"]
    assert "'猴痘' as '#2', '水痘 mild' as '#3 mild'" in str(fonts.font_note(names))


def test_a_font_that_holds_the_missing_characters_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "STIXGeneral"  # comes with matplotlib
    only_there = sorted(fonts._characters(other) - fonts._characters(fonts.LATIN_FONT))
    name = next(chr(code) for code in only_there if chr(code).isprintable())
    monkeypatch.setattr(fonts, "WIDE_FONTS", (other,))
    names = [name, "plain"]
    assert drawn(names, tmp_path) == names
    assert fonts.font_note(names) is None


def test_names_that_look_like_formulas_or_hold_line_breaks_are_drawn_as_text(
    tmp_path: Path,
) -> None:
    names = ["$x^2$", r"\frac{", "two\nlines", "<script>alert(1)</script> " + "long " * 20]
    labels = drawn(names, tmp_path)
    assert labels[:3] == ["$x^2$", r"\frac{", "two lines"]
    assert len(labels[3]) <= fonts.LABEL_WIDTH
    assert "…" in labels[3]


def test_chinese_names_are_drawn_where_a_font_is_installed(tmp_path: Path) -> None:
    if fonts.families(CHINESE) == [fonts.LATIN_FONT]:
        pytest.skip("no font with Chinese characters is installed, such as fonts-noto-cjk")
    names = ["Others", CHINESE, "水痘 (mild)"]
    assert drawn(names, tmp_path) == names
    assert fonts.font_note(names) is None


def test_characters_that_no_one_font_holds_are_gathered_from_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = {fonts.LATIN_FONT: "ab", "One": "猴痘", "Two": "痘水"}
    monkeypatch.setattr(fonts, "WIDE_FONTS", ("One", "Two"))
    monkeypatch.setattr(fonts, "_installed", lambda: frozenset(held))
    monkeypatch.setattr(fonts, "_characters", lambda name: frozenset(map(ord, held[name])))
    assert fonts.families("a猴痘水") == [fonts.LATIN_FONT, "One", "Two"]
    assert fonts.families("水") == [fonts.LATIN_FONT, "Two"]
    assert fonts.figure_labels(["猴", "水", "痤"]) == ["猴", "水", "#3"]


def test_a_font_installed_after_matplotlib_made_its_list_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = font_manager.findfont("STIXGeneral")
    others = [font for font in font_manager.fontManager.ttflist if font.name != "STIXGeneral"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", others)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path, "/nowhere/broken.ttf"])
    fonts._installed.cache_clear()
    try:
        assert "STIXGeneral" in fonts._installed()
    finally:
        fonts._installed.cache_clear()


def test_names_are_shortened_by_the_room_they_take() -> None:
    assert fonts.figure_labels(["a" * 22, "b" * 30], 22) == ["a" * 22, "b" * 11 + "…" + "b" * 10]
    short = fonts._shorten("猴" * 12, 22)
    assert short == "猴" * 5 + "…" + "猴" * 5
    assert fonts._shorten("猴" * 11, 22) == "猴" * 11
