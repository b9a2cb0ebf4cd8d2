from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.drawing.style import BLUE, INK, VERMILION
from reports.figures.precision_recall import plot_precision_recall
from reports.figures.roc import plot_roc
from tests.reports.figures.samples import (
    GRID,
    class_names,
    corners,
    legend_texts,
    metrics,
    per_class,
    points,
    precision_recall,
    roc,
    texts,
)

TWO = ["Monkey Pox", "Others"]


def lines(axes: Axes, color: str, width: float) -> list[np.ndarray[Any, Any]]:
    return [
        points(axes, place)
        for place, line in enumerate(axes.lines)
        if line.get_color() == color and line.get_linewidth() == width
    ]


def roc_of_two() -> Figure:
    return plot_roc(roc(["Others"]), per_class(TWO), metrics("Others"))


def test_of_two_classes_the_positive_one_fills_a_panel_with_the_points_of_the_table() -> None:
    (axes,) = roc_of_two().axes
    (curve,) = lines(axes, BLUE, 2.2)
    np.testing.assert_array_equal(curve, np.column_stack([GRID, np.sqrt(GRID)]))
    assert [0, 0] in points(axes, -1).tolist()  # the diagonal
    assert [1, 1] in points(axes, -1).tolist()


def test_the_band_reaches_from_low_to_high() -> None:
    (axes,) = roc_of_two().axes
    (band,) = axes.collections
    (around,) = corners(band)
    half = around[np.isclose(around[:, 0], 0.25)][:, 1]
    assert half.min() == pytest.approx(0.4)
    assert half.max() == pytest.approx(0.5)


def test_the_legend_holds_the_area_with_its_interval_and_the_operating_point() -> None:
    assert legend_texts(roc_of_two().axes[0]) == [
        "Others\nAUROC 0.500 (0.300-0.600)",
        "95 % band",
        "operating point\nsensitivity 90.0 % (80-100)\nspecificity 75.0 % (60-85)",
        "chance",
    ]


def test_the_operating_point_lies_at_its_rates_with_their_intervals() -> None:
    (axes,) = roc_of_two().axes
    marks = [points(axes, p) for p, line in enumerate(axes.lines) if line.get_color() == VERMILION]
    specificity, sensitivity, mark = (mark.tolist() for mark in marks)
    assert mark == [[0.25, 0.9]]
    np.testing.assert_allclose(specificity, [[0.15, 0.9], [0.4, 0.9]])
    np.testing.assert_allclose(sensitivity, [[0.25, 0.8], [0.25, 1.0]])


def test_precision_at_the_operating_point_follows_from_the_counts() -> None:
    # 30 positive and 10 other pictures: 27 found, 2.5 falsely; 27 / 29.5
    table = per_class(TWO).assign(support=[10, 30])
    figure = plot_precision_recall(precision_recall(["Others"]), table, metrics("Others"))
    (axes,) = figure.axes
    marks = [points(axes, p) for p, line in enumerate(axes.lines) if line.get_color() == VERMILION]
    np.testing.assert_allclose(marks[-1], [[0.9, 27 / 29.5]])
    assert legend_texts(axes) == [
        "Others\naverage precision 0.500 (0.300-0.600)",
        "95 % band",
        "operating point\nsensitivity 90.0 % (80-100)\nprecision 91.5 %",
        "prevalence 75.0\u00a0%",
    ]
    assert points(axes, -1)[:, 1].tolist() == [0.75, 0.75]


def test_several_classes_have_a_panel_each_after_the_mean() -> None:
    names = class_names(3)
    table, scores = roc(names), per_class(names)
    figure = plot_roc(table, scores, metrics())
    assert texts(figure)[::2] == ["mean of 3 classes", *names]
    assert texts(figure)[1::2] == [
        "AUROC 0.800 (0.700-0.900)",
        "AUROC 0.900 (0.700-1.000)",
        "AUROC 0.700 (0.500-0.800)",
        "AUROC 0.500 (0.300-0.600)",
    ]
    for axes, name in zip(figure.axes[1:], names, strict=True):
        (curve,) = lines(axes, BLUE, 1.7)
        rows = table[table["class"] == name]
        np.testing.assert_array_equal(curve[:, 1], rows["true_positive_rate"])
    (mean,) = lines(figure.axes[0], INK, 2.2)
    np.testing.assert_allclose(
        mean[25], [0.25, (0.25 ** (1 / 2) + 0.25 ** (1 / 3) + 0.25**0.25) / 3]
    )
    assert len(lines(figure.axes[0], BLUE, 0.7)) == 3


def test_only_the_positive_class_has_the_operating_point() -> None:
    names = class_names(4)
    figure = plot_roc(roc(names), per_class(names), metrics("class 2"))
    marked = [any(ln.get_color() == VERMILION for ln in axes.lines) for axes in figure.axes]
    assert marked == [False, False, False, True, False]
    assert legend_texts(figure)[-1] == "operating point"


def test_one_mean_stands_for_more_classes_than_have_curves() -> None:
    names = class_names(30)
    figure = plot_roc(roc(["(mean)"]), per_class(names), metrics())
    assert legend_texts(figure.axes[0])[0] == "mean of 30 classes\nAUROC 0.800 (0.700-0.900)"
    figure = plot_precision_recall(precision_recall(["(mean)"]), per_class(names), metrics())
    assert legend_texts(figure.axes[0])[0] == "mean of 30 classes\naverage precision 0.700"
    assert legend_texts(figure.axes[0])[-1] == "prevalence 3.3\u00a0%"


def test_where_a_curve_is_undefined_there_is_a_gap() -> None:
    table = roc(["Others"])
    table.loc[40:49, ["true_positive_rate", "low", "high"]] = np.nan
    (axes,) = plot_roc(table, per_class(TWO), metrics()).axes
    (curve,) = lines(axes, BLUE, 2.2)
    assert np.isnan(curve[:, 1]).sum() == 10


def test_the_mean_leaves_out_what_is_undefined() -> None:
    names = class_names(3)
    table = roc(names)
    table.loc[table["class"] == "class 1", ["true_positive_rate", "low", "high"]] = np.nan
    figure = plot_roc(table, per_class(names), metrics())
    (mean,) = lines(figure.axes[0], INK, 2.2)
    np.testing.assert_allclose(mean[25, 1], (0.25 ** (1 / 2) + 0.25**0.25) / 2)
    assert texts(figure)[::2] == ["mean of 2 classes", "class 0", "class 2"]


@pytest.mark.parametrize("band", ["low", "high"])
def test_without_a_band_none_is_drawn(band: str) -> None:
    table = roc(["Others"]).assign(**{band: np.nan})
    (axes,) = plot_roc(table, per_class(TWO), metrics()).axes
    assert not axes.collections
    assert "95 % band" not in legend_texts(axes)


def test_an_undefined_area_and_operating_point_are_left_out() -> None:
    scores = per_class(TWO).assign(auroc=np.nan, auroc_low=np.nan, auroc_high=np.nan)
    known = metrics("Others")
    known["operating_point"]["specificity"] = None
    (axes,) = plot_roc(roc(["Others"]), scores, known).axes
    assert legend_texts(axes) == ["Others\nAUROC n/a", "95 % band", "chance"]


@pytest.mark.parametrize("undefined", [True, False])
def test_a_test_part_without_a_curve_is_said(undefined: bool) -> None:
    table, other = roc(["Others"]), precision_recall(["Others"])
    table = table.assign(true_positive_rate=np.nan) if undefined else table.head(0)
    other = other.assign(precision=np.nan) if undefined else other.head(0)
    (said,) = texts(plot_roc(table, per_class(TWO), metrics("Others")))
    assert said.startswith("No ROC curve: ")
    (said,) = texts(plot_precision_recall(other, per_class(TWO), metrics("Others")))
    assert said.startswith("No precision-recall curve: ")


def test_a_title_is_no_wider_than_its_panel() -> None:
    names = ["W" * 22, *class_names(19)]
    figure = plot_roc(roc(names), per_class(names), metrics())
    panel = figure.axes[1]
    assert panel.texts[0].get_window_extent().width <= panel.get_window_extent().width + 1
