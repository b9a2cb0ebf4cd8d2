"""prefect.yaml and the forms that it makes: what a run can be told, in words."""

from importlib import import_module
from typing import Any

import pytest
import yaml

from flows.serving.deployments import DEPLOYMENTS, deployments

from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

BY_NAME = {each["name"]: each for each in deployments()}
NEEDED = {"evaluate": {"external": {"data": "data/elsewhere"}}}
"""What a form asks for, since no default would make sense."""


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, _, name = deployment["entrypoint"].partition(":")
    module = import_module(path.removesuffix(".py").replace("/", "."))
    found = getattr(module, name)
    assert isinstance(found, Flow)
    return found


def fields(deployment: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Give every field of a deployment's form, those of its groups and those folded away too."""
    schema = parameter_schema(flow_of(deployment)).model_dump()
    found = [
        (f"{group}.{name}", field)
        for group, definition in schema["definitions"].items()
        for name, field in unfolded(definition["properties"]).items()
    ]
    alone = {
        name: field for name, field in schema["properties"].items() if "$ref" not in str(field)
    }
    return [*found, *alone.items()] or pytest.fail("no field")


def unfolded(properties: dict[str, Any]) -> dict[str, Any]:
    """Give the fields of a group, with those that a choice folds away."""
    shown = {name: field for name, field in properties.items() if name != "advanced"}
    kinds = properties.get("advanced", {}).get("anyOf", [])
    folded = [kind["properties"] for kind in kinds if "properties" in kind]
    return shown | (folded[0] if folded else {})


@pytest.mark.parametrize("name", BY_NAME)
def test_every_field_of_a_form_says_what_it_is_and_what_holds_when_it_is_left_empty(
    name: str,
) -> None:
    for where, field in fields(BY_NAME[name]):
        text = field.get("description", "")
        assert len(text) > 10, where
        given = where in ("recipes", "sources", "ExternalFlags.data")  # which must be named
        if "default" not in field and not given:  # else the field shows what holds
            assert "Left empty: " in text, where
        assert "default: " not in text, where


@pytest.mark.parametrize("name", ["full-pipeline", "retrain-weekly", "compare"])
def test_bounds_which_the_form_does_not_show_stand_in_the_description(name: str) -> None:
    seen = 0
    for where, field in fields(BY_NAME[name]):
        numbers = next(
            (kind for kind in [field, *field.get("anyOf", [])] if "minimum" in kind), None
        )
        if numbers is None:
            continue
        seen += 1
        assert f"from {numbers['minimum']:.10g}" in field["description"], where
        if "maximum" in numbers:
            assert f"to {numbers['maximum']:.10g}" in field["description"], where
    assert seen


@pytest.mark.parametrize("name", BY_NAME)
def test_the_parameters_in_the_file_are_ones_that_the_flow_takes(name: str) -> None:
    deployment = BY_NAME[name]
    flow_of(deployment).validate_parameters(deployment.get("parameters", {}) | NEEDED.get(name, {}))


def test_a_form_asks_for_images_to_evaluate_and_for_nothing_else() -> None:
    schema = parameter_schema(flow_of(BY_NAME["evaluate"])).model_dump()
    assert validate({}, schema)
    assert validate({"external": {}}, schema)
    assert validate(NEEDED["evaluate"], schema) == []


@pytest.mark.parametrize("name", BY_NAME)
def test_the_captions_of_a_form_are_sentences(name: str) -> None:
    schema = parameter_schema(flow_of(BY_NAME[name])).model_dump()
    fields = [*schema["properties"].values(), *schema["definitions"].values()]
    for text in (field["description"] for field in fields if "description" in field):
        assert (text[:1].isupper(), text[-1:]) == (True, "."), text


def test_all_run_in_one_pool_in_the_folder_of_the_project() -> None:
    whole = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))
    assert {each["work_pool"]["name"] for each in whole["deployments"]} == {"local"}
    (step,) = whole["pull"]
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $PWD }}"}}
