"""What is promised of uncertain answers holds on other images, and is fitted on none of these."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from reports.evaluation.evaluate import evaluate
from reports.evaluation.folds import pool_repeats
from reports.evaluation.intervals import share_bound
from reports.evaluation.sample import Sample
from reports.evaluation.settings import EvaluationSettings
from reports.evaluation.uncertainty import (
    Answers,
    answer,
    area_under,
    fit_limits,
    groups_needed,
    referral_level,
    risk_coverage,
    set_level,
)
from resnext.contracts.threshold import answered_class
from tests.reports.evaluation.samples import clustered

PROMISE = EvaluationSettings(max_error=0.1)


def answers(certain: list[float], wrong: list[bool], groups: list[int] | None = None) -> Answers:
    """Answers of two classes, the first of which is always the answer."""
    shares = np.stack([np.array(certain), 1 - np.array(certain)], axis=1)
    first = np.zeros(len(certain), dtype=np.int64)
    places = np.arange(len(certain)) if groups is None else np.array(groups)
    sample = Sample(("a", "b"), first + np.array(wrong, dtype=np.int64), first, shares, places)
    return Answers(sample, shares, np.array(wrong, dtype=bool), np.array(certain))


def simulated(groups: int, seed: int, *, signal: float = 2.0, classes: int = 2) -> Answers:
    """Answers to groups of 1 to 6 images that resemble each other."""
    rng = np.random.default_rng([seed, groups])
    owner = np.repeat(np.arange(groups), rng.integers(1, 7, groups))
    true = rng.integers(classes, size=groups)[owner]
    logits = signal * np.eye(classes)[true] + rng.normal(size=(groups, classes))[owner]
    logits += 0.7 * rng.normal(size=logits.shape)
    shares = softmax(signal * logits / 1.49, axis=1)
    names = tuple("abcdef"[:classes])
    sample = Sample(names, true, shares.argmax(axis=1), shares, owner)
    return answer(sample, None, 1.0, np.full(len(owner), np.nan))


# ---------------------------------------------------------------- the curve


def test_the_curve_and_its_area_by_hand() -> None:
    given = answers([0.9, 0.8, 0.7, 0.6], [False, True, False, True])
    table = risk_coverage(given)
    assert table["probability"].tolist() == [0.9, 0.8, 0.7, 0.6]
    assert table["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert table["n"].tolist() == [1, 2, 3, 4]
    assert table["risk"].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert area_under(given)[0] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_equally_certain_answers_are_one_step_of_the_curve() -> None:
    given = answers([0.9, 0.9, 0.6], [False, True, False])
    assert risk_coverage(given)["coverage"].tolist() == pytest.approx([2 / 3, 1])
    assert area_under(given)[0] == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)
    turned = answers([0.9, 0.9, 0.6], [True, False, False])
    assert area_under(turned) == area_under(given)


def test_a_large_test_part_has_a_hundred_points_and_none_has_no_area() -> None:
    table = risk_coverage(simulated(200, 0))
    assert len(table) == 100
    assert (table["low"] <= table["risk"]).all()
    assert (table["risk"] <= table["high"]).all()
    nothing = answers([], [])
    assert risk_coverage(nothing).empty
    assert np.isnan(area_under(nothing)[0])
    assert np.isnan(area_under(answers([0.9, 0.8], [True, False], [0, 0]))[1]).all(), "one group"


@pytest.mark.parametrize("signal", [1.2, 2.0])
def test_the_interval_of_the_area_holds_the_truth_as_often_as_it_says(signal: float) -> None:
    truth = area_under(simulated(50_000, 1, signal=signal))[0]
    for groups, least, most in ((20, 0.9, 0.99), (60, 0.92, 0.98), (160, 0.92, 0.98)):
        bounds = [area_under(simulated(groups, seed, signal=signal))[1] for seed in range(300)]
        assert least <= np.mean([low <= truth <= high for low, high in bounds]) <= most, groups


# ---------------------------------------------------------------- the promise


@pytest.mark.parametrize(("wrong", "of", "most"), [(0, 59, 0.0495), (3, 100, 0.0757), (5, 5, 1)])
def test_the_bound_of_one_image_a_group_is_that_of_clopper_and_pearson(
    wrong: int, of: int, most: float
) -> None:
    # scipy.stats.beta.ppf(0.95, wrong + 1, of - wrong)
    assert share_bound(np.arange(of), np.arange(of) < wrong) == pytest.approx(most, abs=5e-5)
    twice = np.arange(2 * of) % of
    assert share_bound(twice, twice < wrong) >= most - 5e-5, "no more groups"


@pytest.mark.parametrize(("most", "groups"), [(0.05, 59), (0.1, 29), (0.01, 299)])
def test_a_promise_needs_as_many_groups_as_right_answers_alone_would_prove_it(
    most: float, groups: int
) -> None:
    assert groups_needed(most) == groups
    certain, right = np.linspace(0.6, 0.99, groups), np.zeros(groups, dtype=bool)
    all_right = answers(certain.tolist(), right.tolist())
    level = referral_level(all_right, most)
    assert level is not None
    assert 0.57 < level <= 0.6, "all are answered, and no less certain ones"
    fewer = answers(certain[1:].tolist(), right[1:].tolist())
    assert referral_level(fewer, most) is None
    found = fit_limits(fewer, EvaluationSettings(max_error=most))
    assert found.refer_reason is not None
    assert (
        f"holds {groups - 1} groups, fewer than the {groups} that a promise" in found.refer_reason
    )
    assert "no answer is referred: the validation part holds" in found.describe()


def test_the_level_is_the_lowest_that_can_be_reached_without_a_break() -> None:
    # 60 right ones, then wrong ones: Clopper and Pearson allow 2 of 62, and not 3 of 63
    certain = [0.95] * 60 + [0.8, 0.7, 0.65, *[0.6] * 170]
    given = answers(certain, [False] * 60 + [True] * 3 + [False] * 170)
    assert share_bound(np.arange(62), np.arange(62) < 2) <= 0.1
    assert share_bound(np.arange(63), np.arange(63) < 3) > 0.1
    level = referral_level(given, 0.1)
    assert level is not None
    assert 0.65 < level <= 0.7


@pytest.mark.parametrize("classes", [2, 3])
def test_a_promise_is_broken_in_5_of_100_cases_at_most(classes: int) -> None:
    others = simulated(8000, 1, classes=classes)
    broken, kept = 0, 0
    for seed in range(120):
        level = referral_level(simulated(120, seed, classes=classes), 0.1)
        if level is not None:
            kept += 1
            broken += int(others.wrong[others.certain >= level].mean() > 0.1)
    assert kept > 60, "else this says little"
    assert broken / 120 <= 0.05


def test_the_answer_is_the_one_that_is_given_to_new_images() -> None:
    sample = simulated(40, 3, classes=3).sample
    for positive, threshold in ((None, 0.5), ("b", 0.3), ("b", 0.7)):
        found = answer(sample, positive, 1.0, np.full(len(sample), threshold))
        rule = {"positive": positive, "threshold": threshold}
        for row, shares in enumerate(sample.probabilities.tolist()):
            named = dict(zip(sample.classes, shares, strict=True))
            name = answered_class(named, sample.classes[sample.predicted[row]], rule)
            assert found.certain[row] == pytest.approx(named[name])
            assert found.wrong[row] == (name != sample.classes[sample.true[row]])


# ---------------------------------------------------------------- the sets


def test_the_set_level_by_hand() -> None:
    # 9 groups need all, 19 groups 18 of them, 8 groups more than there are
    for groups, least in ((9, 0.1), (19, 0.15), (8, None)):
        true = [0.1 + 0.05 * place for place in range(groups)]
        found = set_level(answers(true, [False] * groups), 0.9)
        assert found == (least if least is None else pytest.approx(least))
    # one group of 100 images counts once: 18 of 19 other ones are enough
    many = [0.1] * 100 + [0.5 + 0.01 * place for place in range(18)]
    grouped = answers(many, [False] * 118, [0] * 100 + [*range(1, 19)])
    assert set_level(grouped, 0.9) == pytest.approx(0.5)
    assert set_level(answers(many, [False] * 118), 0.9) == pytest.approx(0.1)


def test_the_sets_are_those_of_mapie_where_each_image_is_a_group() -> None:
    # MAPIE 1.6.0, in an environment of its own, with the same draws and the classifier X -> X:
    # SplitConformalClassifier(Given().fit(Xc, yc), confidence_level=0.9, conformity_score="lac",
    #   prefit=True).conformalize(Xc, yc); its quantile, and sets.sum(axis=1) of predict_set(Xt)
    rng = np.random.default_rng(7)

    def draw(images: int) -> Answers:
        true = rng.integers(3, size=images)
        shares = softmax(1.5 * np.eye(3)[true] + rng.normal(size=(images, 3)), axis=1)
        best = shares.argmax(axis=1)
        sample = Sample(("a", "b", "c"), true, best, shares, np.arange(images))
        return answer(sample, None, 1.0, np.full(images, np.nan))

    known, new = draw(57), draw(200)
    least = set_level(known, 0.9)
    assert least == pytest.approx(1 - 0.67462278, abs=1e-8)
    inside = new.shares >= (least or 1)
    assert np.bincount(inside.sum(axis=1)).tolist() == [0, 152, 48]
    assert inside[np.arange(200), new.sample.true].mean() == 0.835


@pytest.mark.parametrize(("level", "classes"), [(0.9, 2), (0.9, 3), (0.8, 3)])
def test_sets_hold_the_true_class_of_new_groups_as_often_as_they_say(
    level: float, classes: int
) -> None:
    others = simulated(20_000, 1, classes=classes)
    sizes = np.bincount(others.groups)
    true = others.shares[np.arange(len(others.wrong)), others.sample.true]
    for groups in (20, 60, 160):
        held = []
        for seed in range(100):
            least = set_level(simulated(groups, seed, classes=classes), level) or 1
            by_group = np.bincount(others.groups, weights=true >= least) / sizes
            held.append(by_group.mean())
        error = 3 * (np.std(held) / 10 + 0.3 / 20_000**0.5)
        assert level - error <= np.mean(held) <= level + 1 / (groups + 1) + error


def test_too_few_groups_have_no_sets_and_that_is_said() -> None:
    found = fit_limits(simulated(8, 0), EvaluationSettings())
    assert found.set_from is None
    assert found.set_reason == (
        "the validation part holds 8 groups, fewer than the 9 that sets of 90.0 % need"
    )
    nothing = answers([], [])
    assert fit_limits(nothing, PROMISE).set_reason is not None


# ---------------------------------------------------------------- through the evaluation


def both_parts(groups: int = 150) -> pd.DataFrame:
    parts = [
        clustered(["a", "b"], groups, seed, split=name) for seed, name in ((1, "test"), (2, "val"))
    ]
    return pd.concat(parts, ignore_index=True)


def test_what_is_measured_on_the_test_part_was_not_fitted_on_it() -> None:
    table, promise = both_parts(), EvaluationSettings(max_error=0.25)
    found = evaluate(table, promise)
    other = table.copy()
    tested = other["split"] == "test"
    other.loc[tested, "label"] = other.loc[tested, "label"].map({"a": "b", "b": "a"})
    turned = evaluate(other, promise)
    assert turned.limits == found.limits
    assert found.limits.refer_below is not None
    referral, sets = (found.metrics["uncertainty"][name] for name in ("referral", "sets"))
    assert turned.metrics["uncertainty"]["referral"]["answered"] == referral["answered"]
    assert turned.metrics["uncertainty"]["referral"]["error"] == pytest.approx(
        1 - referral["error"]
    )
    for measured, names in ((referral, ("answered", "error")), (sets, ("coverage", "size"))):
        for name in names:
            low, high = measured[f"{name}_ci95"]
            assert low <= measured[name] <= high
    assert referral["error"] < 1 - found.metrics["accuracy"]


def test_without_a_promise_or_a_validation_part_nothing_is_referred() -> None:
    found = evaluate(both_parts())
    assert found.metrics["uncertainty"]["referral"] is None
    assert found.limits.refer_below is found.limits.max_error is None
    test = clustered(["a", "b"], 40, 1)
    alone = evaluate(test, PROMISE)
    assert alone.metrics["uncertainty"]["referral"]["reason"].startswith("no validation images")
    assert alone.metrics["uncertainty"]["sets"]["coverage_ci95"] is None
    assert alone.limits.set_from is None


def test_an_image_of_a_fold_has_limits_of_the_other_folds() -> None:
    tables = [clustered(["a", "b"], 60, seed, split="test") for seed in range(4)]
    for number, table in enumerate(tables):
        table[["path", "group"]] = f"{number}/" + table[["path", "group"]]
    pooled = pool_repeats(tables, 4)
    found = evaluate(pooled, EvaluationSettings(max_error=0.3)).metrics["uncertainty"]
    assert 0 < found["referral"]["answered"] < 1
    each = [
        evaluate(
            pd.concat([pooled[pooled["fold"] != fold].assign(split="val"), rows]).drop(
                columns=["fold", "repeat"]
            ),
            EvaluationSettings(max_error=0.3),
        ).metrics["uncertainty"]
        for fold, rows in pooled.groupby("fold")
    ]
    sizes = pooled.groupby("fold").size().to_numpy()
    for name, score in (("referral", "answered"), ("sets", "coverage"), ("sets", "size")):
        by_fold = [one[name][score] for one in each]
        assert found[name][score] == pytest.approx(np.average(by_fold, weights=sizes))
