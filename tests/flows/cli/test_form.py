"""The form of the Prefect UI: short, in plain words, and the same settings as the flat ones."""

import re
from collections.abc import Iterator
from inspect import signature
from typing import Any

import pytest
from pydantic import ValidationError

from flows.cli import form
from flows.cli.flags import EvaluationFlags, Flags, MachineFlags, SplitFlags, TrainingFlags
from flows.compare import compare_recipes
from flows.full_pipeline import RunFlags, full_pipeline
from flows.predict import batch_predict
from flows.retrain import retrain

from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

FLOWS: dict[str, tuple[Flow[..., Any], dict[str, Any]]] = {
    "full-pipeline": (full_pipeline, {}),
    "retrain": (retrain, {}),
    "compare": (compare_recipes, {"recipes": ["default", "seed"]}),
    "batch-predict": (batch_predict, {"sources": ["new"]}),
}
MIXED = {
    "preset": "quick",
    "epochs": 2,
    "advanced": {"lr": 0.1, "zero_init_head": "on", "zero_init_residual": "off"},
}
FLAT = {"preset": "quick", "epochs": 2, "lr": 0.1, "zero_init_head": True}
FLAT |= {"zero_init_residual": False}


def schema(flow: Flow[..., Any]) -> dict[str, Any]:
    return parameter_schema(flow).model_dump()


def parts(described: Any) -> Iterator[dict[str, Any]]:
    """Give every object of a JSON schema."""
    if isinstance(described, dict):
        yield described
        for part in described.values():
            yield from parts(part)
    elif isinstance(described, list):
        for part in described:
            yield from parts(part)


def groups(flow: Flow[..., Any]) -> dict[str, type[Flags]]:
    kinds = {name: each.annotation for name, each in signature(flow.fn).parameters.items()}
    return {
        name: kind
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, Flags)
    }


@pytest.mark.parametrize("name", FLOWS)
def test_no_field_is_null_and_no_text_is_of_a_command_line(name: str) -> None:
    for part in parts(schema(FLOWS[name][0])):
        assert part.get("type") != "null"
        assert part.get("default", ...) is not None
        text = part.get("description", "")
        if isinstance(text, str):
            assert not re.search(r"--\w|default:|`", text), text


def test_what_is_set_every_day_comes_first_and_the_rest_is_folded_away() -> None:
    described = schema(full_pipeline)
    assert list(described["properties"])[:4] == ["data", "training", "folds", "run"]
    shown = {group: list(each["properties"]) for group, each in described["definitions"].items()}
    assert shown.pop("DataFlags") == ["data", "advanced"]
    assert shown.pop("TrainingFlags") == ["preset", "epochs", "advanced"]
    assert shown.pop("SplitFlags") == ["groups", "advanced"]
    assert shown.pop("FoldFlags") == ["folds", "advanced"]
    assert shown.pop("EvaluationFlags") == ["positive", "advanced"]
    assert shown.pop("RunFlags") == ["store", "device", "advanced"]
    assert not shown, "no group is folded away as a whole"
    folded = described["definitions"]["RunFlags"]["properties"]["advanced"]
    assert folded["default"] == folded["anyOf"][0]["enum"][0] == "as usual"
    kept = {*RunFlags.model_fields} - {"store", "device"}
    assert {*folded["anyOf"][1]["properties"]} == kept, "every flag has its field"


def test_a_switch_that_may_be_left_to_the_preset_is_a_choice() -> None:
    advanced = schema(full_pipeline)["definitions"]["TrainingFlags"]["properties"]["advanced"]
    switch = advanced["anyOf"][1]["properties"]["zero_init_head"]
    assert (switch["type"], switch["enum"]) == ("string", ["on", "off"])
    assert switch["title"] == "Zero init head"
    assert switch["description"].endswith("Left empty: off (preset finetune: on).")


def test_what_an_empty_field_means_and_its_bounds_are_said_once() -> None:
    advanced = schema(full_pipeline)["definitions"]["EvaluationFlags"]["properties"]["advanced"]
    fields = advanced["anyOf"][1]["properties"]
    assert fields["prevalence"]["description"] == (
        "Share of the positive class where the model is to be used: the predictive values are "
        "given for it too (above 0 below 1). Left empty: only for that of the test part."
    )
    assert fields["sensitivity"]["description"].endswith(
        "validation part (above 0 below 1). Left empty: the threshold is that of “Threshold”."
    )
    assert fields["domain"]["description"] == (
        "Words of the report: medical (patients, clinics) or general. Left empty: guessed from the "
        "names of the classes."
    )


def test_who_filled_in_the_form_is_told_of_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "--batch-size must be at least 1, got 0."
    assert form.for_who_started(text) == text
    monkeypatch.setattr("prefect.runtime.deployment.id", "some", raising=False)
    assert form.for_who_started(text) == "“Batch size” must be at least 1, got 0."


def test_the_form_and_the_flat_shape_give_the_same_settings() -> None:
    assert TrainingFlags.model_validate(MIXED) == TrainingFlags.model_validate(FLAT)
    usual = {"preset": "quick", "epochs": 2, "advanced": "as usual"}
    assert TrainingFlags.model_validate(usual) == TrainingFlags(preset="quick", epochs=2)
    assert MachineFlags.model_validate({"advanced": {"verify": None}}) == MachineFlags()


def test_what_was_set_is_written_as_the_form_has_it_and_read_again() -> None:
    flags = TrainingFlags.model_validate(FLAT)
    assert flags.model_dump(mode="json") == MIXED
    assert TrainingFlags.model_validate_json(flags.model_dump_json()) == flags
    machine = MachineFlags(workers=1, devices=1, verify=True)
    assert machine.model_dump() == {"advanced": {"workers": 1, "devices": 1, "verify": True}}
    assert EvaluationFlags().model_dump() == {}


@pytest.mark.parametrize("name", FLOWS)
def test_parameters_that_an_older_server_stored_are_taken_as_before(name: str) -> None:
    flow, given = FLOWS[name]
    stored = {
        group: {field: each.default for field, each in kind.model_fields.items()}
        for group, kind in groups(flow).items()
    }
    assert validate(given | stored, schema(flow)) == []
    read = flow.validate_parameters(given | stored)
    assert {group: read[group] for group in stored} == {
        group: kind() for group, kind in groups(flow).items()
    }


@pytest.mark.parametrize("training", [MIXED, FLAT])
def test_the_server_and_the_flow_take_both_shapes(training: dict[str, Any]) -> None:
    assert validate({"training": training}, schema(full_pipeline)) == []
    read = full_pipeline.validate_parameters({"training": training})["training"]
    assert (read.lr, read.zero_init_head, read.zero_init_residual) == (0.1, True, False)


@pytest.mark.parametrize(
    "group",
    [
        {"training": {"epochs": 0}},
        {"training": {"advanced": {"batch_size": 0}}},
        {"training": {"advanced": {"augment": "much"}}},
        {"training": {"advanced": "otherwise"}},
        {"run": {"device": "abacus"}},
    ],
)
def test_the_form_refuses_a_wrong_value(group: dict[str, Any]) -> None:
    assert validate(group, schema(full_pipeline))


@pytest.mark.parametrize("given", [{"lrr": 1}, {"advanced": {"lrr": None}}, {"advanced": 3}])
def test_a_name_that_no_flag_has_is_refused_in_either_shape(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        SplitFlags.model_validate(given)
