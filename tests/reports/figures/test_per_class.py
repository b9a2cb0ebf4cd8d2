import numpy as np

from reports.figures.per_class import plot_per_class
from tests.reports.figures.samples import (
    class_names,
    corners,
    per_class,
    points,
    texts,
    tick_labels,
)


def test_the_points_are_the_scores_in_the_order_of_falling_recall() -> None:
    table = per_class(["a", "b", "c"]).assign(recall=[0.2, 0.9, 0.5], support=[1, 2, 1234])
    figure = plot_per_class(table)
    assert tick_labels(figure) == ["b  (2)", "c  (1,234)", "a  (1)"]
    recall, precision = figure.axes
    assert points(recall, 0).tolist() == [[0.9, 0], [0.5, 1], [0.2, 2]]
    assert points(precision, 0)[:, 0].tolist() == table["precision"][[1, 2, 0]].tolist()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Recall", "Precision"]


def test_the_lines_are_the_intervals() -> None:
    table = per_class(class_names(4))  # in the order of falling recall already
    for axes, measure in zip(plot_per_class(table).axes, ("recall", "precision"), strict=True):
        (lines,) = axes.collections
        drawn = np.array(corners(lines))  # (rows, 2 ends, x and y)
        expected = table[[f"{measure}_low", f"{measure}_high"]].to_numpy()
        np.testing.assert_allclose(drawn[:, :, 0], expected)
        np.testing.assert_array_equal(drawn[:, 0, 1], np.arange(4))


def test_the_mean_is_marked_over_the_classes_that_have_a_value_and_the_others_stand_last() -> None:
    table = per_class(["a", "b", "c"]).assign(recall=[np.nan, 0.25, 0.75], support=[0, 5, 5])
    figure = plot_per_class(table)
    recall = figure.axes[0]
    assert points(recall, 1)[:, 0].tolist() == [0.5, 0.5]
    assert "mean 50.0\u00a0% (2 of 3 classes)" in texts(figure)
    assert tick_labels(figure) == ["c  (5)", "b  (5)", "a  (0)"]
    assert np.isnan(points(recall, 0)[:, 0]).tolist() == [False, False, True]


def test_a_hundred_classes_are_all_named_and_of_thousands_some_in_bounds() -> None:
    assert len(tick_labels(plot_per_class(per_class(class_names(100))))) == 100
    figure = plot_per_class(per_class(class_names(400)))
    assert len(tick_labels(figure)) == 100
    assert figure.get_figheight() < 18


def test_a_test_part_without_an_image_is_said() -> None:
    table = per_class(["a", "b"]).assign(support=0)
    for empty in (table, table.head(0)):
        assert texts(plot_per_class(empty)) == [
            "No scores by class: no test image could be evaluated."
        ]
