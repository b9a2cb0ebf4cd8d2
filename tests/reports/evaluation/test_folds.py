import math

import numpy as np
import pandas as pd
import pytest

from reports.evaluation.evaluate import evaluate
from reports.evaluation.folds import cross_fit, pool_repeats, summarise_folds
from reports.evaluation.sample import per_group, read_sample
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.errors import InputError
from tests.reports.evaluation.samples import clustered, predictions

CLASSES = ["a", "normal"]
RIGHT, WRONG = (0.8, 0.2), (0.3, 0.7)


def fold(number: int, *shares: tuple[float, float]) -> pd.DataFrame:
    """Images of class a, each in a group of its own, with these probabilities."""
    groups = [f"{number}.{place}" for place in range(len(shares))]
    table = predictions(CLASSES, ["a"] * len(shares), shares, groups)
    return table.assign(path=[f"{name}.jpg" for name in groups])


def many(folds: int = 4, repeats: int = 1, groups: int = 22) -> pd.DataFrame:
    """Pooled folds of so many groups each; a repeat tests the same images."""
    tables = [clustered(CLASSES, groups, seed=number) for number in range(folds)]
    for number, table in enumerate(tables):
        for name in ("path", "group"):
            table[name] = [f"{number}/{cell}" for cell in table[name]]
    return pool_repeats(tables * repeats, folds)


def test_folds_are_put_together_with_their_numbers_and_no_image_counts_twice_in_a_repeat() -> None:
    one, two = fold(1, RIGHT, WRONG), fold(2, RIGHT)
    pooled = pool_repeats([one, two, two, one], 2)
    assert pooled["repeat"].tolist() == [1, 1, 1, 2, 2, 2]
    assert pooled["fold"].tolist() == [1, 1, 2, 1, 2, 2]
    with pytest.raises(InputError, match="Folds must test each image once"):
        pool_repeats([one, one], 2)


def test_scores_of_folds_their_mean_and_deviation_by_hand() -> None:
    pooled = pool_repeats([fold(1, RIGHT, WRONG), fold(2, RIGHT, RIGHT)], 2)
    found = summarise_folds(pooled)
    assert (found["folds"], found["repeats"], found["predictions"]) == (2, 1, 4)
    assert [row["accuracy"] for row in found["each"]] == [0.5, 1.0]
    assert [(row["n"], row["groups"]) for row in found["each"]] == [(2, 2), (2, 2)]
    assert found["mean"]["accuracy"] == 0.75
    assert found["deviation"]["accuracy"] == pytest.approx(math.sqrt(0.125))
    losses = [-(math.log(0.8) + math.log(0.3)) / 2, -math.log(0.8)]
    assert found["mean"]["log_loss"] == pytest.approx(sum(losses) / 2)
    assert math.isnan(found["mean"]["auroc"]), "of one class there is none"
    assert [row["accuracy"] for row in found["each_repeat"]] == [0.75]
    assert math.isnan(found["deviation_of_repeats"]["accuracy"]), "of a single repeat"


def test_an_image_is_calibrated_by_other_folds_than_its_own() -> None:
    pooled = many()
    kept, temperatures, thresholds = cross_fit(pooled, EvaluationSettings(threshold="youden"))
    assert kept.fitted_on == kept.chosen_on == "folds"
    assert kept.n == len(pooled)
    mine = pooled["fold"] == 2
    changed = pooled.copy()
    changed.loc[mine, ["p_a", "p_normal"]] = changed.loc[mine, ["p_normal", "p_a"]].to_numpy()
    _, others, limits = cross_fit(changed, EvaluationSettings(threshold="youden"))
    assert (others[mine] == temperatures[mine]).all()
    assert (limits[mine] == thresholds[mine]).all()
    assert (others[~mine] != temperatures[~mine]).all()
    assert len(set(temperatures)) == 4, "one for each fold"


def test_another_repeat_is_not_among_the_other_folds_of_an_image() -> None:
    pooled = many(folds=3, repeats=2, groups=31)
    _, once, _ = cross_fit(pooled[pooled["repeat"] == 1], EvaluationSettings())
    _, twice, _ = cross_fit(pooled, EvaluationSettings())
    assert twice.tolist() == [*once, *once]


def test_repeats_count_images_once_and_leave_the_score_and_its_interval_as_they_are() -> None:
    once, twice = (evaluate(many(repeats=repeats)) for repeats in (1, 2))
    for name in ("n", "groups", "accuracy", "balanced_accuracy", "auroc", "log_loss"):
        assert twice.metrics[name] == pytest.approx(once.metrics[name]), name
    for name in ("accuracy_ci95", "balanced_accuracy_ci95"):
        assert twice.metrics[name] == pytest.approx(once.metrics[name]), name
    # the variance of an AUROC has n - 1 images in it
    assert twice.metrics["auroc_ci95"] == pytest.approx(once.metrics["auroc_ci95"], rel=2e-3)
    for name, value in once.metrics["per_patient"].items():
        rel = 5e-3 if name.endswith("ci95") else 1e-9  # there are n - 1 in it as well
        assert twice.metrics["per_patient"][name] == pytest.approx(value, rel=rel), name
    assert twice.metrics["folds"]["deviation_of_repeats"]["accuracy"] == 0


def test_a_group_gives_an_answer_in_each_repeat() -> None:
    table = predictions(CLASSES, ["a", "a"], [RIGHT, WRONG], ["g", "g"])
    sample = read_sample(table, CLASSES)
    assert len(per_group(sample)) == 1
    apart = per_group(sample, np.array([1, 2]))
    assert apart.predicted.tolist() == [0, 1]
    assert apart.group_count == 1


def test_sensitivity_and_reliability_are_those_of_cross_fitted_probabilities() -> None:
    pooled = many()
    found = evaluate(pooled, EvaluationSettings(threshold="youden"))
    kept, temperatures, thresholds = cross_fit(pooled, EvaluationSettings(threshold="youden"))
    powers = pooled[["p_a", "p_normal"]].to_numpy() ** (1 / temperatures[:, None])
    shares = powers[:, 0] / powers.sum(axis=1)
    sick = (pooled["label"] == "a").to_numpy()
    point = found.metrics["operating_point"]
    assert point["sensitivity"] == pytest.approx((shares >= thresholds)[sick].mean())
    assert point["threshold"] == kept.threshold
    after = found.reliability[found.reliability["when"] == "after"]
    assert after["n"].sum() == len(pooled)
    surest = np.maximum(shares, 1 - shares)
    means = (after["confidence"] * after["n"]).sum() / len(pooled)
    assert means == pytest.approx(surest.mean())
