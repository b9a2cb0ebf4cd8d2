"""What becomes of the flags, whatever the rules choose."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.cli.flags import FoldFlags, TrainingFlags
from flows.cli.plan import resolve
from flows.training.auto import surroundings, with_decided
from resnext.planning.rules import DECIDED, RULES, Fact
from tests.resnext.planning.test_rules import VALUES

AUTO = TrainingFlags(preset="auto")
CHOSEN = {
    "folds": 5, "preset": "transfer", "class_weights": "balanced",
    "image_size": 260, "batch_size": 16, "views": "mirror",
}  # fmt: skip

OTHERS = {name: each for name, each in VALUES.items() if name != "folds"}


@settings(deadline=None)
@given(asked=st.fixed_dictionaries({"folds": VALUES["folds"]}, optional=OTHERS))
def test_a_plan_holds_every_flag_that_was_given_as_it_was_given(asked: dict[str, Any]) -> None:
    folds = FoldFlags(**{name: asked[name] for name in ("folds", "repeats") if name in asked})
    rest = {name: value for name, value in asked.items() if name not in ("folds", "repeats")}
    training = TrainingFlags(preset="auto", **rest)
    assert dict(surroundings(resolve(folds, training)).asked) == asked
    made = resolve(*with_decided((folds, training), CHOSEN))
    found = {**made.recipe.model_dump(), **made.folds.model_dump(), "preset": made.preset}
    assert {name: found[name] for name in CHOSEN} == CHOSEN | asked


def test_whatever_the_rules_choose_can_be_resolved() -> None:
    for preset in ("transfer", "finetune"):
        for rule in RULES:
            value = 260 if isinstance(rule.value, Fact) else rule.value
            chosen = {"folds": 5, "preset": preset, rule.decides: value}
            made = resolve(*with_decided((FoldFlags(), AUTO), chosen))
            assert made.preset == chosen["preset"]
    assert set(CHOSEN) == set(DECIDED)
