import math
from statistics import NormalDist

import numpy as np
import pytest

from reports.arrays import FloatArray
from reports.evaluation import bootstrap
from reports.evaluation.bootstrap import interval, tail_of
from reports.evaluation.sample import Sample, read_sample
from tests.reports.evaluation.samples import clustered, computed

CLASSES = ["a", "b", "c"]


def every_draw(sample: Sample, draws: int = 2000, seed: int = bootstrap.SEED) -> FloatArray:
    return np.concatenate(list(bootstrap.draw_weights(sample, draws, seed)))


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
    none = np.zeros(7, dtype=np.int64)
    sample = Sample(("a",), none, none, np.ones((7, 1)), np.arange(7))
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


# ---------------------------------------------------------------- the interval


def test_percentiles_move_out_as_student_and_the_count_of_groups_ask() -> None:
    assert tail_of(20) == pytest.approx(0.0159, abs=1e-4)  # 2.0930 * sqrt(20 / 19) = 2.1474
    assert tail_of(100_000) == pytest.approx(0.025, abs=1e-4)
    draws = np.arange(10_001) / 10_000
    assert interval(draws, 0.5, 20) == pytest.approx((tail_of(20), 1 - tail_of(20)), abs=1e-4)
    undefined = np.concatenate([draws, np.full(9000, np.nan)])
    assert interval(undefined, 0.5, 20) == interval(draws, 0.5, 20), "they are left out"


def test_nothing_is_said_where_nothing_is_known() -> None:
    draws, half = np.arange(100) / 100, np.full(100, np.nan)
    half[:49] = draws[:49]
    assert all(map(math.isnan, interval(draws, math.nan, 9))), "no value"
    assert all(map(math.isnan, interval(half, 0.5, 9))), "most draws are undefined"
    assert all(map(math.isnan, interval(draws, 0.5, 1))), "one group"
    assert all(map(math.isnan, interval(np.full(100, 0.5), 0.5, 9))), "all draws alike"


def test_a_pivotal_interval_is_turned_about_the_value_and_not_below_0() -> None:
    draws = np.linspace(0.2, 0.4, 1001)
    low, high = interval(draws, 0.2, 1000, pivotal=True)
    assert low == pytest.approx(2 * 0.2 - 0.395, abs=1e-3)
    assert high == pytest.approx(0.2)
    assert interval(draws, 0.1, 1000, pivotal=True)[0] == 0


def test_folds_take_degrees_of_freedom_and_the_factor_is_that_of_a_folds_groups() -> None:
    # 20 groups in 2 folds: Student's t with 18 degrees is 2.10092, times sqrt(10 / 9)
    assert tail_of(20, 2) == pytest.approx(NormalDist().cdf(-2.10092 * math.sqrt(10 / 9)), abs=1e-6)
    assert math.isnan(interval(np.linspace(0, 1, 9), 0.5, 2, folds=2)[0]), "a group a fold"
