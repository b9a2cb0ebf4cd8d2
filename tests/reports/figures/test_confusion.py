from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.drawing.style import save_figure
from reports.figures.confusion import plot_confusion
from resnext.contracts.tables import confusion_table
from tests.reports.figures.samples import class_names, matrix, texts, tick_labels


def test_cells_hold_count_and_share_of_the_row() -> None:
    table = confusion_table([[3, 1], [0, 0]], ["a", "b"], ["a", "b"])
    assert texts(plot_confusion(table)) == ["3", "75 %", "1", "25 %", "0", "0"]


@pytest.mark.parametrize(("classes", "numbers"), [(2, True), (9, True), (20, True), (100, False)])
def test_up_to_twenty_classes_have_numbers_and_all_have_names(
    tmp_path: Path, classes: int, numbers: bool
) -> None:
    figure = plot_confusion(matrix(classes))
    assert bool(texts(figure)) is numbers
    assert tick_labels(figure) == [f"class {place}" for place in range(classes)]
    png, svg = save_figure(figure, tmp_path, "confusion")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text(encoding="utf-8").startswith("<?xml")


def test_a_cell_has_the_colour_of_its_share_and_a_row_without_pictures_none() -> None:
    table = confusion_table([[3, 1], [0, 0]], ["a", "b"], ["a", "b"])
    (image,) = plot_confusion(table).axes[0].images
    shares: Any = image.get_array()
    np.testing.assert_array_equal(shares.filled(np.nan), [[0.75, 0.25], [np.nan, np.nan]])


def test_with_very_many_classes_some_are_named_and_the_figure_stays_in_bounds() -> None:
    figure = plot_confusion(matrix(300))
    labels = tick_labels(figure)
    assert labels == class_names(300)[::3]
    assert max(figure.get_size_inches()) < 16


def test_a_test_part_without_a_picture_is_said() -> None:
    for table in (matrix(3) * 0, confusion_table([], [], [])):
        assert texts(plot_confusion(table)) == [
            "No confusion matrix: no test picture could be evaluated."
        ]
