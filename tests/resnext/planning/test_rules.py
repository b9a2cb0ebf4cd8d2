"""What is chosen for a set: by hand, as the table of the rules says it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.planning.cost import estimate
from resnext.planning.facts import NO_GPU, Surroundings
from resnext.planning.rules import DECIDED, RULES, WATCHED, Fact, as_flags, decide
from resnext.training.recipe import Recipe
from tests.resnext.planning.test_facts import CPU, GPU, facts

FEW = {"class_weights": "none", "image_size": 260, "batch_size": 16, "views": "mirror"}
FOLDED = {"folds": 5}
THIRTY = {f"class {number:02}": 20 for number in range(30)}


def chosen(*given: Any, **more: Any) -> dict[str, Any]:
    return {each.decides: each.value for each in decide(facts(*given, **more))}


def reasons(*given: Any, **more: Any) -> dict[str, str]:
    return {each.decides: each.reason for each in decide(facts(*given, **more))}


@pytest.mark.parametrize(
    ("groups", "machine", "expected"),
    [
        pytest.param(
            {"a": 20, "b": 20}, CPU, FOLDED | {"preset": "transfer"} | FEW, id="40 images"
        ),
        pytest.param(
            {"a": 320, "b": 80}, CPU,
            FOLDED | {"preset": "transfer"} | FEW | {"class_weights": "balanced"},
            id="400 images, uneven",
        ),
        pytest.param(
            {"a": 4000, "b": 4000}, GPU,
            {"folds": None, "preset": "finetune", "class_weights": "none", "image_size": 260,
             "batch_size": 32},
            id="8,000 images and a GPU",
        ),
        pytest.param(
            {"a": 4000, "b": 4000}, CPU, {"folds": None, "preset": "transfer"} | FEW,
            id="8,000 images and no GPU",
        ),
        pytest.param(
            THIRTY, GPU, FOLDED | {"preset": "transfer"} | FEW, id="30 classes of 20 images"
        ),
        pytest.param(
            {"a": 300, "b": 3}, GPU,
            {"folds": 3, "preset": "transfer"} | FEW | {"class_weights": "balanced"},
            id="a class with three groups",
        ),
    ],
)  # fmt: skip
def test_what_is_chosen_for_a_set_is_what_the_rules_say(
    groups: dict[str, int], machine: Surroundings, expected: dict[str, Any]
) -> None:
    assert chosen(groups, surroundings=machine) == expected


@pytest.mark.parametrize(
    ("groups", "folds"),
    [
        ({"a": 250, "b": 249}, 5),
        ({"a": 250, "b": 250}, None),
        ({"a": 450, "b": 99}, 5),
        ({"a": 450, "b": 100}, None),
        ({"a": 76, "b": 4}, 4),
        ({"a": 760, "b": 4}, 4),
        ({"a": 760, "b": 3}, 3),
    ],
)
def test_folds_are_as_many_as_the_smallest_class_bears_and_end_at_the_border(
    groups: dict[str, int], folds: int | None
) -> None:
    assert chosen(groups)["folds"] == folds


def test_groups_and_not_images_decide_whether_there_are_folds() -> None:
    found = chosen({"a": 20, "b": 20}, each=50, surroundings=GPU)
    assert (found["folds"], found["preset"]) == (5, "finetune")


def test_all_of_a_network_is_trained_from_a_thousand_originals_on_and_stored_copies_are_none() -> (
    None
):
    for count, copies, preset in (
        (499, 0, "transfer"),
        (500, 0, "finetune"),
        (100, 13, "transfer"),
    ):
        assert chosen({"a": count, "b": count}, copies=copies, surroundings=GPU)["preset"] == preset


def test_three_times_as_many_are_not_yet_weighed() -> None:
    assert chosen({"a": 90, "b": 30})["class_weights"] == "none"
    assert chosen({"a": 91, "b": 30})["class_weights"] == "balanced"
    assert chosen({"a": 91, "b": 30}, sampler="balanced")["class_weights"] == "none"


@pytest.mark.parametrize(
    ("side", "size"),
    [(16, 128), (64, 128), (128, 128), (200, 200), (259, 259), (260, 260), (640, 260)],
)
def test_a_frozen_network_sees_small_images_as_they_are_and_tiny_ones_a_little_enlarged(
    side: int, size: int
) -> None:
    sets, fixed = {"a": 50, "b": 50}, CPU.model_copy(update={"fixed_size": True})
    assert chosen(sets, side=side)["image_size"] == size
    assert f"{side}" in reasons(sets, side=side)["image_size"]
    assert chosen(sets, side=side, method="network")["image_size"] == 260
    assert chosen(sets, side=side, surroundings=fixed)["image_size"] == 260


def test_a_network_that_is_asked_for_is_not_frozen() -> None:
    sets = {"a": 50, "b": 50}
    assert chosen(sets, method="network")["preset"] == "finetune"
    assert chosen(sets, method="network", weights="none")["preset"] == "default"
    assert chosen({"a": 900, "b": 900}, surroundings=GPU, method="probe")["preset"] == "transfer"


@pytest.mark.parametrize(
    "asked", [{"fold": "1/5"}, {"shares": "60,20,20"}, {"use_split": "a.csv"}, {"keep_split": "b"}]
)
def test_one_split_that_is_asked_for_stays_one_and_the_page_names_the_flag(
    asked: dict[str, str],
) -> None:
    ((name, value),) = asked.items()
    found = chosen({"a": 20, "b": 20}, **asked)
    assert found["folds"] is None
    reason = reasons({"a": 20, "b": 20}, **asked)["folds"]
    assert reason == f"You asked for --{name.replace('_', '-')} {value}."


@pytest.mark.parametrize("strategy", ["given", "random", "stratified"])
def test_a_split_that_is_not_of_groups_is_taken_as_it_is(strategy: str) -> None:
    counted = replace(facts({"a": 20, "b": 20}), strategy=strategy)
    folds, *_ = decide(counted)
    assert (folds.decides, folds.value) == ("folds", None)
    assert folds.reason.startswith(f"The split is {strategy}.")


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "folds": st.integers(2, 9),
    "class_weights": st.sampled_from(["none", "balanced"]),
    "image_size": st.integers(32, 512),
    "batch_size": st.integers(2, 64),
    "views": st.sampled_from(["identity", "mirror", "d4"]),
}
SETS = st.dictionaries(st.sampled_from("abcdef"), st.integers(3, 300), min_size=2)


@given(SETS, st.fixed_dictionaries({}, optional=VALUES), st.sampled_from([CPU, GPU]))
def test_a_flag_that_is_given_is_never_overruled(
    groups: dict[str, int], asked: dict[str, Any], machine: Surroundings
) -> None:
    found = decide(facts(groups, surroundings=machine, **asked))
    mine = {each.decides: each for each in found if each.asked}
    assert {name: each.value for name, each in mine.items()} == asked
    for name, each in mine.items():
        assert each.reason == f"You asked for --{name.replace('_', '-')} {asked[name]}."
    words = as_flags(found)
    assert not {f"--{name.replace('_', '-')}" for name in asked} & {*words}


@given(SETS, st.sampled_from([CPU, GPU]), st.integers(0, 3))
def test_every_set_gets_every_setting_with_a_whole_sentence_and_a_source(
    groups: dict[str, int], machine: Surroundings, copies: int
) -> None:
    counted = facts(groups, copies=copies, surroundings=machine)
    found = decide(counted)
    values = {each.decides: each.value for each in found}
    assert {"folds", "preset", "class_weights", "image_size", "batch_size"} <= values.keys()
    assert values["folds"] is None or 2 < int(values["folds"]) <= min(groups.values())
    for each in found:
        assert each.reason.endswith(".")
        assert "{" not in each.reason
        assert each.source
    assert estimate(counted, values).minutes >= 1


def test_every_rule_can_be_met_and_every_setting_has_a_last_word() -> None:
    for name in ("folds", "preset", "class_weights", "image_size", "batch_size"):
        last = [rule for rule in RULES if rule.decides == name][-1]
        assert last.when == "otherwise"
    assert [*DECIDED] == [*dict.fromkeys(rule.decides for rule in RULES)]
    assert {*DECIDED} - {"preset"} <= WATCHED
    constants = {rule.decides: rule.value for rule in RULES if not isinstance(rule.value, Fact)}
    known = {name: value for name, value in constants.items() if name in Recipe.model_fields}
    Recipe.model_validate(known)


def test_the_machine_is_named_with_its_numbers() -> None:
    assert facts({"a": 3, "b": 3}).machine == f"2 cores {NO_GPU}"
    assert facts({"a": 3, "b": 3}, surroundings=GPU).machine == "16 cores and a GPU with 24 GiB"


def test_time_grows_with_views_folds_and_images_and_shrinks_with_cores() -> None:
    def minutes(groups: int, machine: Surroundings = CPU, **asked: Any) -> int:
        counted = facts({"a": groups, "b": groups}, surroundings=machine, **asked)
        decided = {each.decides: each.value for each in decide(counted)}
        return estimate(counted, decided).minutes

    # (4,000 originals in 2 views, and again in the answers) / 40 a second + 120 s of heads + 30 s
    assert minutes(2000) == round((2 * 8000 / 40 + 0.03 * 4000 + 30) / 60)
    assert minutes(2000, views="d4") > 2 * minutes(2000)
    assert minutes(2000, folds=5) > minutes(2000)
    assert minutes(2000, CPU.model_copy(update={"cores": 8})) < minutes(2000)
    assert minutes(20) == 1
    assert minutes(2000, GPU) == round((30 * 4000 / 3000 + 30) / 60)
