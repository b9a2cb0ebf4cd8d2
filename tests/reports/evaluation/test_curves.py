import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from reports.evaluation import curves
from reports.evaluation.intervals import NORMAL
from reports.evaluation.sample import Sample, read_sample
from tests.reports.evaluation.samples import clustered, predictions

CLASSES = ["a", "b", "c"]


def roc(sample: Sample, positive: str | None = None) -> pd.DataFrame:
    return curves.discrimination(sample, positive)[0]


def precision_recall(sample: Sample, positive: str | None = None) -> pd.DataFrame:
    return curves.discrimination(sample, positive)[1]


def test_a_roc_curve_runs_through_scikit_learn_s_points_inside_its_band() -> None:
    sample = read_sample(clustered(CLASSES, 40, seed=1), CLASSES)
    table = roc(sample)
    assert list(table) == ["class", "false_positive_rate", "true_positive_rate", "low", "high"]
    assert len(table) == 3 * 101
    for place, (name, rows) in enumerate(table.groupby("class")):
        assert name == CLASSES[place]
        false, found, _ = reference.roc_curve(sample.true == place, sample.probabilities[:, place])
        expected = np.interp(rows["false_positive_rate"], false, found)
        assert rows["true_positive_rate"].tolist() == pytest.approx(expected.tolist())
        inside = rows["true_positive_rate"].between(rows["low"] - 1e-9, rows["high"] + 1e-9)
        assert inside.mean() > 0.95
        assert (np.diff(rows[["low", "high"]], axis=0) >= 0).all(), "bounds never fall"
        assert rows.iloc[-1][["true_positive_rate", "low", "high"]].tolist() == [1, 1, 1]


def test_a_rate_of_1_has_wilson_s_interval_of_the_groups() -> None:
    true = ["a"] * 6 + ["b"] * 4
    shares = [[0.9, 0.1]] * 6 + [[0.2, 0.8]] * 4
    table = roc(read_sample(predictions(["a", "b"], true, shares), ["a", "b"]), "b")
    assert (table["true_positive_rate"] == 1).all()
    assert table["low"].tolist()[:-1] == pytest.approx([4 / (4 + NORMAL**2)] * 100)


def test_of_two_classes_the_positive_one_alone_has_curves_and_both_where_none_is() -> None:
    sample = read_sample(clustered(["a", "b"], 20, seed=2), ["a", "b"])
    for draw in (roc, precision_recall):
        assert set(draw(sample, "a")["class"]) == {"a"}
        assert set(draw(sample)["class"]) == {"a", "b"}


def test_precision_at_a_recall_is_that_of_the_first_place_that_reaches_it() -> None:
    # by p_b: b, a, b, b, a -> precision 1 at recall 1/3, 2/3 at 2/3, 3/4 at 1
    true = ["b", "a", "b", "b", "a"]
    shares = [[1 - p, p] for p in (0.9, 0.8, 0.7, 0.6, 0.5)]
    sample = read_sample(predictions(["a", "b"], true, shares), ["a", "b"])
    table = precision_recall(sample, "b")
    assert list(table) == ["class", "recall", "precision", "low", "high"]
    at = table.set_index(table["recall"].round(2))["precision"]
    assert [at[0], at[0.33]] == pytest.approx([1, 1])
    assert [at[0.34], at[0.66]] == pytest.approx([2 / 3, 2 / 3])
    assert [at[0.67], at[1]] == pytest.approx([3 / 4, 3 / 4])


@pytest.mark.parametrize(("groups", "known"), [(4, False), (5, True)])
def test_the_mean_over_many_classes_has_a_band_around_it_or_none(groups: int, known: bool) -> None:
    classes = [f"c{place:02}" for place in range(21)]
    true = [name for name in classes for _ in range(2 * groups)]
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(len(true), 21)) + 2 * np.eye(21)[np.repeat(range(21), 2 * groups)]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    owners = [f"g{place // 2}" for place in range(len(true))]
    sample = read_sample(predictions(classes, true, shares.tolist(), owners), classes)
    for table in (roc(sample), precision_recall(sample)):
        assert set(table["class"]) == {"(mean)"}
        value, low, high = (table.iloc[1:-1, place] for place in (2, 3, 4))
        assert (low.notna() & high.notna()).all() == known
        assert not known or ((low <= value) & (value <= high)).all()


def test_a_class_absent_from_test_has_no_curve_and_one_alone_has_no_roc() -> None:
    shares = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1]]
    sample = read_sample(predictions(CLASSES, ["a", "b", "b", "b"], shares), CLASSES)
    assert set(roc(sample)["class"]) == {"a", "b"}
    assert set(precision_recall(sample)["class"]) == {"a", "b"}
    alone = read_sample(predictions(CLASSES, ["b"] * 4, shares), CLASSES)
    assert roc(alone).empty
    assert list(roc(alone)) == list(roc(sample))
    assert set(precision_recall(alone)["class"]) == {"b"}


def test_a_class_of_one_group_has_a_curve_and_no_band() -> None:
    true = ["a"] * 5 + ["b"] * 3
    shares = [[1 - p, p] for p in (0.1, 0.2, 0.3, 0.4, 0.6, 0.5, 0.7, 0.55)]
    groups = ["g1", "g2", "g3", "g4", "g5", "h", "h", "h"]
    sample = read_sample(predictions(["a", "b"], true, shares, groups), ["a", "b"])
    table = precision_recall(sample, "b")
    assert table["precision"].notna().all()
    assert table[["low", "high"]].isna().all(axis=None)


def test_more_than_twenty_classes_have_their_mean_curve_alone() -> None:
    classes = [f"c{place:02}" for place in range(21)]
    sample = read_sample(clustered(classes, 40, seed=3, size=2), classes)
    table = roc(sample)
    assert set(table["class"]) == set(precision_recall(sample)["class"]) == {"(mean)"}
    each = []
    for place in np.unique(sample.true):
        false, found, _ = reference.roc_curve(sample.true == place, sample.probabilities[:, place])
        each.append(np.interp(curves.GRID, false, found))
    mean = np.mean(each, axis=0)
    assert table["true_positive_rate"].tolist() == pytest.approx(mean.tolist())


def test_reliability_and_confidences_are_the_tables_of_the_bins_by_hand() -> None:
    shares = [[0.65, 0.35], [0.61, 0.39], [1.0, 0.0], [0.6, 0.4]]
    sample = read_sample(predictions(["a", "b"], ["a", "b", "a", "a"], shares), ["a", "b"])
    table = curves.reliability(sample, None)
    assert list(table) == [
        "when",
        "bin_low",
        "bin_high",
        "n",
        "confidence",
        "accuracy",
        "low",
        "high",
    ]
    assert set(table["when"]) == {"before"}
    assert table["n"].tolist() == [0] * 8 + [1, 2, 0, 0, 0, 0, 1]
    row = table.iloc[9]
    assert (row["bin_low"], row["bin_high"]) == pytest.approx((9 / 15, 10 / 15))
    assert (row["confidence"], row["accuracy"]) == pytest.approx((0.63, 0.5))
    assert table["accuracy"][table["n"] == 0].isna().all()
    assert (table["low"][14], table["high"][14]) == pytest.approx((1 / (1 + NORMAL**2), 1))
    table = curves.confidences(sample)
    assert list(table) == ["bin_low", "bin_high", "right", "wrong"]
    assert table["right"].tolist() == [0] * 11 + [1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert table["wrong"].tolist() == [0] * 12 + [1] + [0] * 7


def test_reliability_after_the_temperature_holds_the_same_answers_less_sure() -> None:
    sample = read_sample(clustered(CLASSES, 30, seed=4), CLASSES)
    table = curves.reliability(sample, 3.0)
    before, after = (table[table["when"] == when] for when in ("before", "after"))
    assert before["n"].sum() == after["n"].sum() == len(sample)

    def mean(rows: pd.DataFrame, name: str) -> float:
        return float((rows[name] * rows["n"]).sum() / len(sample))

    assert mean(after, "confidence") < mean(before, "confidence")
    assert mean(after, "accuracy") == pytest.approx(mean(before, "accuracy"))


def test_a_draw_without_other_images_has_no_roc_curve_but_precisions() -> None:
    sample = read_sample(predictions(CLASSES, ["a", "b"], [[0.5, 0.3, 0.2]] * 2), CLASSES)
    ranking = sample.rankings[0]
    steps = ranking.steps(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
    undefined = np.isnan(steps.roc(curves.GRID)).all(axis=1)
    assert undefined.tolist() == [False, True, True]
    assert steps.precision(curves.GRID)[1].tolist() == [1.0] * 101
