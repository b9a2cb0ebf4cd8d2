import math
from typing import Any

import pandas as pd
import pytest

from reports.evaluation.decision import allowed_luck, changed_classes, decide, describe
from reports.evaluation.metrics import select
from reports.evaluation.paired import difference, read_pair
from reports.evaluation.sample import Sample
from reports.evaluation.settings import DecisionSettings
from tests.benchmarks import decisions
from tests.reports.evaluation.samples import predictions

CLASSES = ["a", "b"]
SETTINGS = DecisionSettings()


def answers(right: list[bool], groups: list[str] | None = None) -> pd.DataFrame:
    """Answers about pictures of which every other one is of class b."""
    true = [CLASSES[place % 2] for place in range(len(right))]
    given = [1 - place % 2 if not hit else place % 2 for place, hit in enumerate(right)]
    shares = [[0.1, 0.9] if place else [0.9, 0.1] for place in given]
    return predictions(CLASSES, true, shares, groups)


GOOD, HALF = [True] * 40, [True, True, False, False] * 10


def test_a_clearly_better_challenger_is_better_and_the_other_way_round_worse() -> None:
    found = decide(answers(HALF), answers(GOOD), SETTINGS)
    assert (found["verdict"], found["difference"]) == ("better", 0.5)
    assert 0 < found["low"] < 0.5 < found["high"]
    assert decide(answers(GOOD), answers(HALF), SETTINGS)["verdict"] == "worse"


def test_the_interval_is_that_of_the_paired_bootstrap() -> None:
    found = decide(answers(HALF), answers(GOOD), DecisionSettings(metric="accuracy"))
    expected = difference(*read_pair(answers(HALF), answers(GOOD)), *select(["accuracy"]))
    assert (found["low"], found["high"]) == (expected.low, expected.high)


def test_the_whole_interval_must_lie_above_the_margin() -> None:
    low = decide(answers(HALF), answers(GOOD), SETTINGS)["low"]
    for margin, verdict in ((low - 0.001, "better"), (low, "undecided"), (0.9, "undecided")):
        settings = DecisionSettings(margin=margin)
        assert decide(answers(HALF), answers(GOOD), settings)["verdict"] == verdict


def test_what_may_be_chance_is_undecided() -> None:
    one_more = [True, *HALF[1:3], True, *HALF[4:]]
    found = decide(answers(HALF), answers(one_more), SETTINGS)
    assert found["verdict"] == "undecided"
    assert found["difference"] == pytest.approx(0.025)


def test_models_that_answer_alike_and_one_group_have_no_interval() -> None:
    alike = decide(answers(HALF), answers(HALF), SETTINGS)
    assert alike["verdict"] == "undefined"
    assert describe(alike, 1) == "exactly as good as version 1 in balanced accuracy"
    groups = ["g"] * 40
    found = decide(answers(HALF, groups), answers(GOOD, groups), SETTINGS)
    assert (found["verdict"], found["low"], found["high"]) == ("undefined", None, None)


def stated(of_truth: list[float]) -> pd.DataFrame:
    """Answers that give the true class these probabilities; every other picture is of class b."""
    shares = [[1 - p, p] if place % 2 else [p, 1 - p] for place, p in enumerate(of_truth)]
    return predictions(CLASSES, [CLASSES[place % 2] for place in range(len(of_truth))], shares)


BY_LOSS = DecisionSettings(metric="log_loss")


def test_of_the_log_loss_less_is_better_in_difference_verdict_and_words() -> None:
    sure, unsure = stated([0.9, 0.8] * 20), stated([0.7, 0.6] * 20)
    found = decide(unsure, sure, BY_LOSS)
    lower = (math.log(0.7 / 0.9) + math.log(0.6 / 0.8)) / 2
    assert (found["verdict"], found["difference"]) == ("better", pytest.approx(lower))
    assert found["low"] < found["difference"] < found["high"] < 0
    assert (found["groups_better"], found["groups_worse"]) == (40, 0)
    bounds = f"{-found['high']:.3f} to {-found['low']:.3f}"
    words = describe(found, 2)
    assert words.startswith(f"0.269 nats better in log loss than version 2 (95 %: {bounds})")
    assert "luck alone gives such a lead" in words
    back = decide(sure, unsure, BY_LOSS)
    assert (back["verdict"], back["difference"]) == ("worse", pytest.approx(-lower))
    assert back["luck"] > 0.99
    assert describe(back, 2).startswith("0.269 nats worse in log loss than version 2 (95 %: -")
    assert "luck" not in describe(back, 2)


def test_the_margin_of_the_log_loss_is_in_nats_below_the_champion_s() -> None:
    sure, unsure = stated([0.9, 0.8] * 20), stated([0.7, 0.6] * 20)
    least = -decide(unsure, sure, BY_LOSS)["high"]
    for margin, verdict in ((least - 0.001, "better"), (least + 0.001, "undecided")):
        settings = DecisionSettings(metric="log_loss", margin=margin)
        found = decide(unsure, sure, settings)
        assert found["verdict"] == verdict
    assert (
        describe(found, 2).partition("(")[2].count(f"not clearly better by more than {margin:.3f}")
    )


def test_equal_answers_that_are_surer_are_told_apart_by_the_log_loss_alone() -> None:
    sure, unsure = stated([0.9, 0.8] * 20), stated([0.7, 0.6] * 20)
    assert decide(unsure, sure, SETTINGS)["verdict"] == "undefined"
    alike = decide(sure, sure, BY_LOSS)
    assert (alike["verdict"], alike["groups_better"]) == ("undefined", 0)
    assert describe(alike, 1) == "exactly as good as version 1 in log loss"


def constant(n: int, answer: str = "a") -> pd.DataFrame:
    """Give one class to all pictures, of which every other one is of class b."""
    return answers([CLASSES[place % 2] == answer for place in range(n)])


def test_where_no_draw_varies_the_sign_test_over_groups_decides() -> None:
    found = decide(constant(40), answers(GOOD), SETTINGS)
    assert (found["verdict"], found["difference"]) == ("better", 0.5)
    assert (found["low"], found["high"]) == (None, None)
    assert (found["groups_better"], found["groups_worse"]) == (20, 0)
    assert found["p"] == pytest.approx(2 / 2**20)
    assert decide(answers(GOOD), constant(40), SETTINGS)["verdict"] == "worse"
    half = DecisionSettings(margin=0.5)
    assert decide(constant(40), answers(GOOD), half)["verdict"] == "undecided"


def test_the_more_often_a_test_part_has_served_the_less_luck_may_explain_a_lead() -> None:
    """Of 40 pictures the challenger gets eight more right: luck gives that in 1 of 2^8 cases."""
    eight = [True] * 18 + HALF[18:]
    verdicts = {}
    for use in (1, 2, 5, 10):
        found = decide(answers(HALF), answers(eight), SETTINGS, use)
        verdicts[use] = found["verdict"]
        assert (found["use"], found["luck_allowed"]) == (use, 0.05 / (use * (use + 1)))
        assert found["luck"] == pytest.approx(1 / 2**8, abs=0.003)
    assert verdicts == {1: "better", 2: "better", 5: "undecided", 10: "undecided"}
    words = describe(found, 1)
    assert "95 %: " in words
    assert "not clearly better; decision 10 on this test part: luck alone gives such a" in words
    assert words.endswith("of cases, at most 0.045 % is allowed")
    assert describe(decide(answers(HALF), answers(eight), SETTINGS), 1).endswith(
        " % of cases, at most 2.5 % is allowed"
    )


def test_the_sign_test_too_must_be_surer_the_more_often_a_test_part_has_served() -> None:
    few, right = constant(14), answers([True] * 14)
    assert decide(few, right, SETTINGS)["p"] == pytest.approx(2 / 2**7)
    verdicts = [decide(few, right, SETTINGS, use)["verdict"] for use in (1, 2, 3)]
    assert verdicts == ["better", "better", "undefined"]


def test_all_decisions_together_leave_luck_five_cases_in_a_hundred() -> None:
    assert sum(allowed_luck(use) for use in range(1, 10_000)) == pytest.approx(0.05, abs=1e-5)
    assert allowed_luck(1) == 0.025, "as the upper bound of a 95 % interval"


def test_of_ten_equal_challengers_any_is_promoted_in_five_of_a_hundred_series_at_most() -> None:
    """By the interval alone it would be more than twice as many."""
    found = [decisions.any_promoted(20, seed) for seed in range(60)]
    assert sum(one.counted for one in found) <= 0.05 * len(found)
    assert sum(one.uncounted for one in found) >= 0.10 * len(found)


def test_the_simulation_judges_as_a_retraining_does() -> None:
    for seed, use in ((0, 1), (1, 3), (2, 1), (3, 10)):
        champion, challenger = decisions.answers(30, [0.7, 0.9], seed)
        found = decide(as_table(champion), as_table(challenger), SETTINGS, use)
        (judged,) = decisions.judge(champion, challenger, [use])
        assert judged.counted == (found["verdict"] == "better")
        assert judged.uncounted == (found["low"] > 0)


def as_table(sample: Sample) -> pd.DataFrame:
    shares = [[0.9, 0.1] if given == 0 else [0.1, 0.9] for given in sample.predicted]
    names = [f"g{group:03}" for group in sample.groups]
    table = predictions(CLASSES, [CLASSES[true] for true in sample.true], shares, names)
    return table.assign(path=[f"{place:05}.jpg" for place in range(len(sample))])


def test_groups_that_differ_by_chance_decide_nothing() -> None:
    """One model gives always a, the other always b: as good, in every draw."""
    found = decide(constant(40), constant(40, "b"), SETTINGS)
    assert (found["verdict"], found["difference"], found["p"]) == ("undefined", 0, 1)
    few = decide(answers([False] * 4), answers([True] * 4), SETTINGS)
    assert (few["verdict"], few["groups_better"], few["p"]) == ("undefined", 4, 0.125)


def test_other_classes_cannot_be_compared() -> None:
    found = changed_classes(["a", "b"], ["c", "a"], SETTINGS)
    assert (found["verdict"], found["added"], found["removed"]) == ("classes changed", ["c"], ["b"])
    assert "(added: c; removed: b)" in describe(found, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "5.0 points better in balanced accuracy than version 2 (95 %: 1.0 to 9.0)"),
        ({"verdict": "worse", "difference": -0.05}, "5.0 points worse"),
        ({"verdict": "undecided"}, "to 9.0), not clearly better"),
        ({"verdict": "undecided", "margin": 0.02}, "not clearly better by more than 2.0"),
        (
            {"verdict": "undefined", "low": None},
            "too few groups differ (7 groups answered better, 2 worse, p = 0.18)",
        ),
        ({"low": None}, "version 2 (the same in every draw; 7 groups answered better, 2 worse"),
    ],
)
def test_a_decision_is_said_in_words(changes: dict[str, Any], words: str) -> None:
    decision = {
        "verdict": "better", "metric": "balanced_accuracy", "margin": 0.0, "difference": 0.05,
        "low": 0.01, "high": 0.09, "groups_better": 7, "groups_worse": 2, "p": 0.1796875,
    }  # fmt: skip
    assert words in describe(decision | changes, 2)
