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
    assert points(axes, -1).tolist() == [[0, 0], [1, 1]], "the diagonal"
    (band,) = axes.collections
    (around,) = corners(band)
    at_a_quarter = around[np.isclose(around[:, 0], 0.25)][:, 1]
    assert (at_a_quarter.min(), at_a_quarter.max()) == pytest.approx((0.4, 0.5))


def marks(axes: Axes) -> list[list[list[float]]]:
    found = [points(axes, p) for p, line in enumerate(axes.lines) if line.get_color() == VERMILION]
    return [np.round(mark, 9).tolist() for mark in found]


def test_area_and_operating_point_stand_in_the_legend_and_the_point_at_its_rates() -> None:
    (axes,) = roc_of_two().axes
    assert legend_texts(axes) == [
        "Others\nAUROC 0.500 (0.300-0.600)",
        "95 % band",
        "operating point\nsensitivity 90.0 % (80-100)\nspecificity 75.0 % (60-85)",
        "chance",
    ]
    specificity, sensitivity = [[0.15, 0.9], [0.4, 0.9]], [[0.25, 0.8], [0.25, 1.0]]
    assert marks(axes) == [specificity, sensitivity, [[0.25, 0.9]]]


def test_precision_at_the_operating_point_follows_from_the_counts() -> None:
    # 30 positive and 10 other images: 27 found, 2.5 falsely; 27 / 29.5
    table = per_class(TWO).assign(support=[10, 30])
    figure = plot_precision_recall(precision_recall(["Others"]), table, metrics("Others"))
    (axes,) = figure.axes
    np.testing.assert_allclose(marks(axes)[-1], [[0.9, 27 / 29.5]])
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
    assert [bool(marks(axes)) for axes in figure.axes] == [False, False, False, True, False]
    assert legend_texts(figure)[-1] == "operating point"


def test_one_mean_stands_for_more_classes_than_have_curves() -> None:
    names = class_names(30)
    figure = plot_roc(roc(["(mean)"]), per_class(names), metrics())
    assert legend_texts(figure.axes[0])[0] == "mean of 30 classes\nAUROC 0.800 (0.700-0.900)"
    figure = plot_precision_recall(precision_recall(["(mean)"]), per_class(names), metrics())
    assert legend_texts(figure.axes[0])[0] == "mean of 30 classes\naverage precision 0.700"
    assert legend_texts(figure.axes[0])[-1] == "prevalence 3.3\u00a0%"


def test_the_mean_leaves_out_what_is_undefined_and_a_curve_has_a_gap_there() -> None:
    names = class_names(3)
    table = roc(names)
    table.loc[table["class"] == "class 1", ["true_positive_rate", "low", "high"]] = np.nan
    table.loc[40:49, ["true_positive_rate", "low", "high"]] = np.nan
    figure = plot_roc(table, per_class(names), metrics())
    (curve,) = lines(figure.axes[1], BLUE, 1.7)
    assert np.isnan(curve[:, 1]).sum() == 10, "a gap"
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
