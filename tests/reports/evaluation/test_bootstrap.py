import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from reports.arrays import FloatArray
from reports.evaluation import bootstrap
from reports.evaluation.bootstrap import interval, tail_of
from reports.evaluation.ranking import rank
from reports.evaluation.sample import Sample, read_sample
from tests.reports.evaluation.samples import clustered, computed, drawn, of_classes, predictions

CLASSES = ["a", "b", "c"]


def every_draw(sample: Sample, draws: int = 2000, seed: int = bootstrap.SEED) -> FloatArray:
    return np.concatenate(list(bootstrap.draw_weights(sample, draws, seed)))


def one_each(groups: int) -> Sample:
    """One picture a group, of which nothing but the groups matters."""
    none = np.zeros(groups, dtype=np.int64)
    return Sample(("a",), none, none, np.ones((groups, 1)), np.arange(groups))


# ---------------------------------------------------------------- the draws


def test_each_draw_takes_as_many_groups_as_there_are() -> None:
    weights = every_draw(read_sample(clustered(CLASSES, 30, seed=0), CLASSES))
    assert weights.shape == (2000, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.1)
    assert weights.var() == pytest.approx(29 / 30, abs=0.02), "as of a multinomial"


def test_the_draws_follow_from_the_seed_however_many_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample = one_each(7)
    whole = every_draw(sample, 50)
    monkeypatch.setattr(bootstrap, "CELLS", 7 * 3)
    assert len(list(bootstrap.draw_weights(sample, 50))) == 17
    assert (every_draw(sample, 50) == whole).all()
    assert (every_draw(sample, 50, seed=1) != whole).any()


def test_a_draw_holds_every_class_even_one_of_a_single_group() -> None:
    classes = np.array([0] * 11 + [1])
    sample = Sample(("a", "b"), classes, classes, np.full((12, 2), 0.5), np.arange(12))
    weights = every_draw(sample)
    assert (weights[:, 11] > 0).all()
    assert (weights.sum(axis=1) == 12).all()
    plain = np.concatenate(list(bootstrap.draw_counts(12, 12)))
    kept = plain[:, 11] > 0
    assert 0.6 < kept.mean() < 0.7, "1 - (11 / 12) ** 12"
    assert (weights[kept] == plain[kept]).all(), "those that hold it stay"


def test_draws_that_never_hold_all_classes_have_no_means_over_them() -> None:
    classes = np.arange(30)
    names = tuple(f"c{place}" for place in classes)
    sample = Sample(names, classes, classes, np.full((30, 30), 1 / 30), classes)
    weights = every_draw(sample, 50)
    drawn = computed(sample, weights)
    for name in ("balanced_accuracy", "macro_f1", "mcc", "auroc"):
        assert np.isnan(drawn[name]).all()
    assert (drawn["accuracy"] == 1).all()


# ---------------------------------------------------------------- the figures of every draw


def weighted(name: str, sample: Sample, weights: FloatArray) -> float:
    """Compute one figure with scikit-learn, each picture weighted by its group's draws."""
    w = weights[sample.groups]
    true, predicted = sample.true[w > 0], sample.predicted[w > 0]
    shares, w = sample.probabilities[w > 0], w[w > 0]
    every, there = np.arange(len(sample.classes)), np.unique(true)
    options: dict[str, Any] = {"sample_weight": w}
    if name == "accuracy":
        found = reference.accuracy_score(true, predicted, **options)
    elif name == "balanced_accuracy":
        found = reference.recall_score(true, predicted, labels=there, average="macro", **options)
    elif name == "macro_f1":
        known = np.union1d(true, predicted)
        found = reference.f1_score(true, predicted, labels=known, average="macro", **options)
    elif name == "weighted_f1":
        found = reference.f1_score(true, predicted, labels=there, average="weighted", **options)
    elif name == "mcc":
        found = reference.matthews_corrcoef(true, predicted, **options)
    elif name == "auroc":
        areas = [reference.roc_auc_score(true == k, shares[:, k], **options) for k in there]
        found = np.mean(areas)
    elif name == "log_loss":
        found = reference.log_loss(true, shares, labels=every, **options)
    else:
        found = reference.brier_score_loss(true, shares, labels=every, **options)
    return float(found)


def weighted_of_class(sample: Sample, weights: FloatArray, index: int) -> dict[str, float]:
    """Compute the metrics of a class that is there and was predicted in the same way."""
    w, p = weights[sample.groups], sample.probabilities[:, index]
    hits, given = sample.true == index, sample.predicted == index
    return {
        "precision": reference.precision_score(hits, given, sample_weight=w),
        "recall": reference.recall_score(hits, given, sample_weight=w),
        "specificity": reference.recall_score(~hits, ~given, sample_weight=w),
        "f1": reference.f1_score(hits, given, sample_weight=w),
        "auroc": reference.roc_auc_score(hits, p, sample_weight=w),
        "average_precision": reference.average_precision_score(hits, p, sample_weight=w),
    }


COMPARED = [
    *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc"),
    *("auroc", "log_loss", "brier"),
]


@pytest.mark.parametrize("name", COMPARED)
def test_a_figure_of_each_draw_is_scikit_learn_s_with_the_draw_as_weights(name: str) -> None:
    sample = read_sample(clustered(CLASSES, 12, seed=4), CLASSES)
    weights = every_draw(sample, 40)
    expected = [weighted(name, sample, row) for row in weights]
    assert computed(sample, weights)[name].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("count", [2, 9, 100])
def test_every_value_is_scikit_learn_s_on_random_tables(count: int) -> None:
    classes = sorted(f"c{index:03d}" for index in range(count))
    sample = read_sample(drawn(classes, 60 * count, seed=count), classes)
    ones = np.ones(sample.group_count)
    found, each = computed(sample), of_classes(sample)
    expected = {name: weighted(name, sample, ones) for name in COMPARED}
    assert {name: found[name][0] for name in COMPARED} == pytest.approx(expected, abs=1e-12)
    for index in range(0, count, 5):
        of_class = weighted_of_class(sample, ones, index)
        assert {name: each[name][0, index] for name in of_class} == pytest.approx(of_class)


def test_a_class_figure_of_each_draw_is_scikit_learn_s_with_the_draw_as_weights() -> None:
    sample = read_sample(clustered(CLASSES, 12, seed=5), CLASSES)
    weights = every_draw(sample, 40)
    found = of_classes(sample, weights)
    for row, draw in enumerate(weights):
        w = draw[sample.groups]
        if not w[sample.true == 1].sum() or not w[sample.predicted == 1].sum():
            assert math.isnan(found["recall"][row, 1]) or math.isnan(found["precision"][row, 1])
            continue
        expected = weighted_of_class(sample, draw, 1)
        assert {name: found[name][row, 1] for name in expected} == pytest.approx(expected)


def test_the_calibration_error_of_a_draw_is_that_of_its_pictures_written_out() -> None:
    sample = read_sample(clustered(CLASSES, 9, seed=6), CLASSES)
    weights = every_draw(sample, 5)
    drawn = computed(sample, weights)["ece"]
    for row, draw in enumerate(weights):
        rows = np.repeat(np.arange(len(sample)), draw[sample.groups].astype(int))
        again = Sample(
            sample.classes,
            sample.true[rows],
            sample.predicted[rows],
            sample.probabilities[rows],
            np.zeros(len(rows), dtype=np.int64),
        )
        whole = computed(again)["ece"][0]
        assert drawn[row] == pytest.approx(whole)


def test_equal_probabilities_form_one_step_of_the_ranking() -> None:
    rng = np.random.default_rng(7)
    p, hits = rng.integers(0, 4, 60) / 4, rng.random(60) < 0.4
    w = rng.integers(0, 3, 60).astype(float)
    steps = rank(p, hits, np.arange(60)).steps(w[np.newaxis])
    assert steps.auroc()[0] == pytest.approx(reference.roc_auc_score(hits, p, sample_weight=w))
    assert steps.average_precision()[0] == pytest.approx(
        reference.average_precision_score(hits, p, sample_weight=w)
    )


def test_the_curves_of_a_draw_run_through_scikit_learn_s_points() -> None:
    rng = np.random.default_rng(8)
    p, hits = np.round(rng.random(80), 2), rng.random(80) < 0.5
    w = rng.integers(0, 3, 80).astype(float)
    steps = rank(p, hits, np.arange(80)).steps(w[np.newaxis])
    false, found, _ = reference.roc_curve(hits, p, sample_weight=w)
    grid = np.linspace(0, 1, 101)
    assert steps.roc(grid)[0].tolist() == pytest.approx(np.interp(grid, false, found).tolist())
    precision, recall, _ = reference.precision_recall_curve(hits, p, sample_weight=w)
    for at, value in zip(grid[1:], steps.precision(grid)[0, 1:], strict=True):
        first = np.flatnonzero(recall >= at - 1e-9)[-1]  # recall falls along scikit-learn's curve
        assert value == pytest.approx(precision[first])


def test_a_draw_without_a_class_has_no_figure_of_it() -> None:
    table = predictions(["a", "b"], ["a", "b"], [[0.9, 0.1], [0.2, 0.8]])
    sample = read_sample(table, ["a", "b"])
    drawn = of_classes(sample, np.array([[2.0, 0.0]]))
    assert math.isnan(drawn["recall"][0, 1])
    assert math.isnan(drawn["auroc"][0, 1])
    assert math.isnan(drawn["average_precision"][0, 1])
    assert math.isnan(drawn["specificity"][0, 0])
    assert drawn["recall"][0, 0] == 1


# ---------------------------------------------------------------- the interval


def test_percentiles_move_out_as_student_and_the_count_of_groups_ask() -> None:
    assert tail_of(20) == pytest.approx(0.0159, abs=1e-4)  # 2.0930 * sqrt(20 / 19) = 2.1474
    assert tail_of(100_000) == pytest.approx(0.025, abs=1e-4)


def test_the_interval_lies_between_these_percentiles_of_the_draws() -> None:
    draws = np.arange(10_001) / 10_000
    low, high = interval(draws, 0.5, 20)
    assert (low, high) == pytest.approx((tail_of(20), 1 - tail_of(20)), abs=1e-4)


def test_nothing_is_said_where_nothing_is_known() -> None:
    draws, half = np.arange(100) / 100, np.full(100, np.nan)
    half[:49] = draws[:49]
    assert all(map(math.isnan, interval(draws, math.nan, 9))), "no value"
    assert all(map(math.isnan, interval(half, 0.5, 9))), "most draws are undefined"
    assert all(map(math.isnan, interval(draws, 0.5, 1))), "one group"
    assert all(map(math.isnan, interval(np.full(100, 0.5), 0.5, 9))), "all draws alike"


def test_undefined_draws_are_left_out() -> None:
    draws = np.concatenate([np.arange(1001) / 1000, np.full(900, np.nan)])
    assert interval(draws, 0.5, 9) == interval(draws[:1001], 0.5, 9)


def test_a_pivotal_interval_is_turned_about_the_value_and_not_below_0() -> None:
    draws = np.linspace(0.2, 0.4, 1001)
    low, high = interval(draws, 0.2, 1000, pivotal=True)
    assert low == pytest.approx(2 * 0.2 - 0.395, abs=1e-3)
    assert high == pytest.approx(0.2)
    assert interval(draws, 0.1, 1000, pivotal=True)[0] == 0
