from typing import Any

import numpy as np
import pytest

from reports.figures.confusion import plot_confusion
from resnext.contracts.tables import confusion_table
from tests.reports.figures.samples import class_names, matrix, texts, tick_labels


def test_cells_hold_count_and_share_of_the_row_and_its_colour() -> None:
    figure = plot_confusion(confusion_table([[3, 1], [0, 0]], ["a", "b"], ["a", "b"]))
    assert texts(figure) == ["3", "75 %", "1", "25 %", "0", "0"]
    (image,) = figure.axes[0].images
    shares: Any = image.get_array()
    np.testing.assert_array_equal(shares.filled(np.nan), [[0.75, 0.25], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([199, 1], ["99.5 %", "0.5 %"]),
        ([197, 3], ["98 %", "2 %"]),
        ([9999, 1], ["99.9 %", "0.1 %"]),
    ],
)
def test_a_share_that_is_neither_none_nor_all_is_not_rounded_to_it(
    counts: list[int], shown: list[str]
) -> None:
    figure = plot_confusion(confusion_table([counts, [0, 1]], ["a", "b"], ["a", "b"]))
    assert texts(figure)[1:4:2] == shown
    assert texts(figure)[-1] == "100 %"


@pytest.mark.parametrize(("classes", "numbers"), [(2, True), (9, True), (20, True), (100, False)])
def test_up_to_twenty_classes_have_numbers_and_all_have_names(classes: int, numbers: bool) -> None:
    figure = plot_confusion(matrix(classes))
    assert bool(texts(figure)) is numbers
    assert tick_labels(figure) == class_names(classes)


def test_with_very_many_classes_some_are_named_and_the_figure_stays_in_bounds() -> None:
    figure = plot_confusion(matrix(300))
    assert tick_labels(figure) == class_names(300)[::3]
    assert max(figure.get_size_inches()) < 16


def test_a_test_part_without_an_image_is_said() -> None:
    for table in (matrix(3) * 0, confusion_table([], [], [])):
        assert texts(plot_confusion(table)) == [
            "No confusion matrix: no test image could be evaluated."
        ]
