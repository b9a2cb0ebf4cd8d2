from typing import Any

import pandas as pd
import pytest

from reports.evaluation.decision import changed_classes, decide, describe
from reports.evaluation.paired import paired_difference
from reports.evaluation.settings import DecisionSettings
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
    expected = paired_difference(answers(HALF), answers(GOOD), "accuracy")
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
    assert decide(constant(40), answers(GOOD), DecisionSettings(margin=0.5))["verdict"] == (
        "undecided"
    )


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
        (
            {"verdict": "worse", "difference": -0.05, "low": -0.09, "high": -0.01},
            "5.0 points worse",
        ),
        ({"verdict": "undecided"}, "to 9.0), not clearly better"),
        ({"verdict": "undecided", "margin": 0.02}, "not clearly better by more than 2.0"),
        (
            {"verdict": "undefined", "low": None},
            "too few groups differ (7 groups answered better, 2 worse, p = 0.18)",
        ),
        (
            {"low": None, "difference": 0.5},
            "50.0 points better in balanced accuracy than version 2 (the same in every draw; 7 "
            "groups answered better, 2 worse",
        ),
    ],
)
def test_a_decision_is_said_in_words(changes: dict[str, Any], words: str) -> None:
    decision = {
        "verdict": "better", "metric": "balanced_accuracy", "margin": 0.0, "difference": 0.05,
        "low": 0.01, "high": 0.09, "groups_better": 7, "groups_worse": 2, "p": 0.1796875,
    }  # fmt: skip
    assert words in describe(decision | changes, 2)
