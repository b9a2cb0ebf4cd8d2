from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reports import figures
from reports.tables import confusion_table


def history(epochs: int, *, measured: bool = True) -> pd.DataFrame:
    steps = np.arange(1, epochs + 1)
    val = 1 / steps + 0.05 * steps if measured else np.full(epochs, np.nan)
    return pd.DataFrame(
        {
            "epoch": steps,
            "lr": 0.001,
            "train_loss": 1 / steps,
            "train_accuracy": 1 - 0.5 / steps,
            "val_loss": val,
            "val_accuracy": 1 - val / 2,
        }
    )


def matrix(classes: int) -> pd.DataFrame:
    names = [f"class {place}" for place in range(classes)]
    counts = np.random.default_rng(classes).integers(0, 9, (classes, classes))
    return confusion_table(counts, names, names)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def tick_labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_curves_have_a_panel_for_accuracy_and_one_for_loss() -> None:
    figure = figures.plot_curves(history(8), validation_name="validation")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Accuracy", "Loss"]
    assert texts(figure).count("train") == texts(figure).count("validation") == 2


def test_the_best_epoch_has_the_highest_accuracy_of_equals_the_lowest_loss() -> None:
    table = history(4).assign(val_loss=[0.9, 0.5, 0.4, 0.1], val_accuracy=[0.6, 0.6, 0.6, 0.2])
    figure = figures.plot_curves(table, validation_name="validation")
    assert figures.best_epoch(table) == 3
    assert "best: 60.0 % at epoch 3" in texts(figure)
    assert "0.400 at epoch 3" in texts(figure)


def test_of_equal_epochs_the_first_is_the_best() -> None:
    table = history(3).assign(val_loss=[0.9, 0.5, 0.5], val_accuracy=[0.1, 0.6, 0.6])
    assert figures.best_epoch(table) == 2


def test_the_validation_line_has_the_name_it_was_given_and_the_caption_shows() -> None:
    figure = figures.plot_curves(history(3), validation_name="test", caption="Trained until noon")
    assert "test" in texts(figure)
    assert "validation" not in texts(figure)
    assert figure.get_supxlabel() == "Trained until noon"


def test_without_validation_only_the_training_lines_are_drawn() -> None:
    table = history(5, measured=False)
    figure = figures.plot_curves(table, validation_name="validation")
    assert figures.best_epoch(table) is None
    assert texts(figure) == ["train", "train"]
    assert all(len(axes.lines) == 1 for axes in figure.axes)


def test_one_epoch_is_drawn_as_points_on_a_whole_epoch(tmp_path: Path) -> None:
    figure = figures.plot_curves(history(1), validation_name="validation")
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert list(figure.axes[0].get_xticks()) == [1]
    assert all(path.stat().st_size for path in figures.save_figure(figure, tmp_path, "curves"))


def test_cells_hold_count_and_share_of_the_row() -> None:
    table = confusion_table([[3, 1], [0, 0]], ["a", "b"], ["a", "b"])
    assert texts(figures.plot_confusion(table)) == ["3", "75 %", "1", "25 %", "0", "0"]


@pytest.mark.parametrize(("classes", "numbers"), [(2, True), (9, True), (20, True), (100, False)])
def test_up_to_twenty_classes_have_numbers_and_all_have_names(
    tmp_path: Path, classes: int, numbers: bool
) -> None:
    figure = figures.plot_confusion(matrix(classes))
    assert bool(texts(figure)) is numbers
    assert tick_labels(figure) == [f"class {place}" for place in range(classes)]
    png, svg = figures.save_figure(figure, tmp_path, "confusion")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("kind", ["curves", "confusion"])
def test_the_same_table_gives_the_same_bytes_twice(tmp_path: Path, kind: str) -> None:
    saved = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        figure = (
            figures.plot_curves(history(6), validation_name="validation")
            if kind == "curves"
            else figures.plot_confusion(matrix(3))
        )
        saved.append([path.read_bytes() for path in figures.save_figure(figure, folder, kind)])
    assert saved[0] == saved[1]
    assert b"<dc:date>" not in saved[0][1]
    assert b"Software" not in saved[0][0]


def test_a_persons_own_matplotlib_settings_change_nothing_and_stay(tmp_path: Path) -> None:
    plain = figures.save_figure(figures.plot_confusion(matrix(3)), tmp_path, "plain")[0]
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        own = figures.save_figure(figures.plot_confusion(matrix(3)), tmp_path, "own")[0]
        assert matplotlib.rcParams["font.size"] == 30
    assert own.read_bytes() == plain.read_bytes()


def test_a_name_no_font_can_draw_is_numbered_and_said_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "WIDE_FONTS", ())
    names = ["NA", "猴痘", "水痘 mild"]
    figure = figures.plot_confusion(confusion_table(np.eye(3, dtype=int), names, names))
    figures.save_figure(figure, tmp_path, "confusion")
    assert tick_labels(figure) == ["NA", "#2", "#3 mild"]
    assert "'猴痘' as '#2'" in str(figures.font_note(names))
    note = figures.font_note(names)
    assert note is not None
    assert "'猴痘' as '#2', '水痘 mild' as '#3 mild'" in note


def test_a_font_that_holds_the_missing_characters_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "STIXGeneral"  # comes with matplotlib
    only_there = sorted(figures._characters(other) - figures._characters(figures.LATIN_FONT))
    name = next(chr(code) for code in only_there if chr(code).isprintable())
    monkeypatch.setattr(figures, "WIDE_FONTS", (other,))
    names = [name, "plain"]
    figure = figures.plot_confusion(confusion_table([[1, 0], [0, 1]], names, names))
    figures.save_figure(figure, tmp_path, "confusion")
    assert tick_labels(figure) == names
    assert figures.font_note(names) is None


def test_names_that_look_like_formulas_or_hold_line_breaks_are_drawn_as_text(
    tmp_path: Path,
) -> None:
    names = ["$x^2$", r"\frac{", "two\nlines", "<script>alert(1)</script> " + "long " * 20]
    figure = figures.plot_confusion(confusion_table(np.eye(4, dtype=int), names, names))
    figures.save_figure(figure, tmp_path, "confusion")
    labels = tick_labels(figure)
    assert labels[:3] == ["$x^2$", r"\frac{", "two lines"]
    assert len(labels[3]) <= figures.LABEL_WIDTH
    assert "…" in labels[3]
