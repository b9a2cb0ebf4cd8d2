from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from reports.drawing.style import BLUE
from reports.evaluation.evaluate import evaluate
from reports.figures.confidences import plot_confidences
from reports.figures.net_benefit import plot_net_benefit
from reports.figures.reliability import calibration_error, plot_reliability
from tests.reports.evaluation.samples import clustered
from tests.reports.figures.samples import (
    bars,
    calibration,
    calibration_curve,
    class_reliability,
    confidences,
    corners,
    legend_texts,
    net_benefit,
    per_class,
    points,
    reliability,
    texts,
)


def test_the_points_are_accuracy_by_confidence_of_the_bins_with_images() -> None:
    table = reliability("before", "after")
    figure = plot_reliability(table, calibration())
    expected = table[(table["n"] > 0) & (table["when"] == "before")]
    np.testing.assert_array_equal(
        points(figure.axes[0], 1), expected[["confidence", "accuracy"]].to_numpy()
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles == ["As predicted", "After temperature 1.50"]


def test_the_bars_are_the_intervals_and_the_strip_counts_the_images() -> None:
    table = reliability("before", "after")
    rows = table[(table["n"] > 0) & (table["when"] == "after")]
    upper, lower = (plot_reliability(table, calibration()).axes[place] for place in (1, 3))
    (intervals,) = upper.collections
    drawn = np.array(corners(intervals))  # (bins, 2 ends, x and y)
    np.testing.assert_allclose(drawn[:, 0], rows[["confidence", "low"]].to_numpy())
    np.testing.assert_allclose(drawn[:, 1], rows[["confidence", "high"]].to_numpy())
    assert [bar.get_height() for bar in bars(lower)] == rows["n"].tolist()
    np.testing.assert_allclose([bar.get_x() for bar in bars(lower)], rows["bin_low"])


@pytest.mark.parametrize("most", [88, 12_345])
def test_the_number_of_images_stands_above_each_bar_inside_the_strip(most: int) -> None:
    table = reliability("before", "after")
    table["n"] = np.where(table["n"] > 0, most, 0)
    table.loc[table["n"].to_numpy().nonzero()[0][[0, -1]], "n"] = 1
    figure = plot_reliability(table, calibration())
    for axes, when in zip(figure.axes[2:], ("before", "after"), strict=True):
        rows = table[(table["n"] > 0) & (table["when"] == when)]
        assert [text.get_text() for text in axes.texts] == [f"{n:,}" for n in rows["n"]]
        boxes = [text.get_window_extent() for text in axes.texts]
        assert max(box.y1 for box in boxes) <= axes.get_window_extent().y1 + 1
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_the_calibration_error_is_that_of_the_evaluation_and_weighs_the_gaps_by_images() -> None:
    found = evaluate(clustered(["a", "b", "c"], 40, 1))
    table = found.reliability[found.reliability["n"] > 0]
    assert calibration_error(table) == pytest.approx(found.metrics["ece"])
    assert f"calibration error {100 * found.metrics['ece']:.1f}\u00a0%" in texts(
        plot_reliability(found.reliability, found.calibration.content())
    )
    rows = pd.DataFrame({"n": [3, 1], "confidence": [0.6, 0.9], "accuracy": [0.4, 1.0]})
    assert calibration_error(rows) == pytest.approx((3 * 0.2 + 0.1) / 4)
    assert np.isnan(calibration_error(rows.head(0)))


def test_without_a_temperature_the_second_panel_says_why() -> None:
    reason = {"temperature": 1.0, "reason": "no validation images were kept out of training"}
    figure = plot_reliability(reliability("before"), reason)
    written = " ".join(figure.axes[1].texts[0].get_text().split())
    assert (
        written
        == "The probabilities are not calibrated: no validation images were kept out of training."
    )
    assert len(figure.axes[0].lines) == 2
    assert not figure.axes[1].lines


def of_two() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    names = ["Others", "Pox"]
    return class_reliability(names), calibration_curve(names), per_class(names)


def test_of_two_classes_the_probability_of_one_is_drawn_with_its_curve_and_band() -> None:
    bins, curve, classes = of_two()
    figure = plot_reliability(reliability("before", "after"), calibration(), bins, curve, classes)
    for axes, when in zip(figure.axes[:2], ("before", "after"), strict=True):
        rows, smooth = (table[table["when"] == when] for table in (bins, curve))
        np.testing.assert_array_equal(points(axes, 1), rows[["confidence", "accuracy"]])
        np.testing.assert_array_equal(points(axes, 2), smooth[["probability", "observed"]])
        _, band = axes.collections
        drawn = corners(band)[0]
        assert {tuple(row) for row in smooth[["probability", "low"]].to_numpy()} <= set(
            map(tuple, drawn)
        )
    assert figure.axes[0].get_ylabel() == "share of Pox"
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["probability of Pox"] * 2


def test_below_it_images_of_the_class_rise_and_the_others_hang() -> None:
    bins, curve, classes = of_two()
    figure = plot_reliability(reliability("before", "after"), calibration(), bins, curve, classes)
    rows = bins[bins["when"] == "before"]
    heights = [bar.get_height() for bar in bars(figure.axes[2])]
    hits = (rows["n"] * rows["accuracy"]).round()
    assert heights == [*hits, *(hits - rows["n"])]
    labels = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert not [label for label in labels if label.startswith(("-", "\u2212"))]


def test_slope_and_intercept_of_the_class_stand_in_the_first_panel() -> None:
    bins, curve, classes = of_two()
    figure = plot_reliability(reliability("before", "after"), calibration(), bins, curve, classes)
    said = "slope 0.50 (0.00 to 1.00)\nintercept 0.50 (0.00 to 1.00)"
    assert [said in [text.get_text() for text in axes.texts] for axes in figure.axes[:2]] == [
        True,
        False,
    ]
    unknown = classes.assign(calibration_slope=np.nan, calibration_intercept=np.nan)
    figure = plot_reliability(reliability("before"), calibration(), bins, curve, unknown)
    assert not [text for text in texts(figure) if "slope" in text]


def test_of_more_classes_the_confidence_is_drawn_with_its_curve() -> None:
    names = ["a", "b", "c"]
    table, curve = reliability("before", "after"), calibration_curve(names)
    figure = plot_reliability(
        table, calibration(), class_reliability(names), curve, per_class(names)
    )
    assert [len(axes.lines) for axes in figure.axes[:2]] == [3, 3]
    assert figure.axes[2].get_xlabel() == "confidence"
    without = plot_reliability(
        table, calibration(), class_reliability(names), curve.head(0), per_class(names)
    )
    assert [len(axes.lines) for axes in without.axes[:2]] == [2, 2]


def test_the_decision_curve_compares_with_acting_on_every_image_and_on_none() -> None:
    table = net_benefit("Pox")
    (axes,) = plot_net_benefit(table, per_class(["Others", "Pox"])).axes
    none, every, answers = (points(axes, place) for place in range(3))
    assert (none[:, 1] == 0).all()
    np.testing.assert_array_equal(every, table[["threshold", "treat_all"]])
    np.testing.assert_array_equal(answers, table[["threshold", "net_benefit"]])
    assert legend_texts(axes) == [
        "acting on none", "acting on every image", "95 % band", "acting on the network's answers",
    ]  # fmt: skip
    low, high = axes.get_ylim()
    assert -0.1 < low < 0 < table["high"].max() < high, "acting on every image runs out below"


def test_without_a_positive_class_the_decision_curve_says_so() -> None:
    table = net_benefit("Pox").head(0)
    (said,) = texts(plot_net_benefit(table, per_class(["a", "b"])))
    assert " ".join(said.split()).startswith("No decision curve: it is about acting on one class")


def test_right_answers_rise_and_wrong_ones_hang_by_confidence() -> None:
    table = confidences()
    (axes,) = plot_confidences(table).axes
    heights = [bar.get_height() for bar in bars(axes)]
    assert heights[:20] == table["right"].tolist()
    assert heights[20:] == (-table["wrong"]).tolist()
    assert to_hex(axes.patches[0].get_facecolor()).upper() == BLUE
    assert legend_texts(axes) == ["right: 43 images", "wrong: 3 images"]
    assert axes.get_xlim() == pytest.approx((0.55, 1))


def test_counts_below_zero_read_as_counts_and_a_lone_bin_does_not_fill_the_figure() -> None:
    (axes,) = plot_confidences(confidences().assign(wrong=30)).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert not [label for label in labels if label.startswith(("-", "\u2212"))]
    (axes,) = plot_confidences(confidences().assign(right=[0] * 19 + [5], wrong=0)).axes
    assert axes.get_xlim() == pytest.approx((0.8, 1))


def test_bins_without_bounds_are_not_drawn() -> None:
    table = confidences().astype({"right": float})
    table.loc[19, ["bin_low", "bin_high"]] = np.nan
    (axes,) = plot_confidences(table).axes
    assert legend_texts(axes) == ["right: 3 images", "wrong: 3 images"]
    nowhere = table.assign(bin_low=np.nan, bin_high=np.nan)
    (said,) = texts(plot_confidences(nowhere))
    assert said.startswith("No histogram of confidences: ")


def test_a_test_part_without_an_image_is_said() -> None:
    said = "no test image could be evaluated."
    for table in (reliability("before").head(0), reliability("before").assign(n=0)):
        assert texts(plot_reliability(table, calibration())) == [f"No reliability diagram: {said}"]
    for counts in (confidences().head(0), confidences().assign(right=0, wrong=0)):
        assert texts(plot_confidences(counts)) == [f"No histogram of confidences: {said}"]
