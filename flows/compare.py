"""Compare recipes or networks on the same folds, patient by patient.

$ python flows/compare.py default seed --data FOLDER --folds 5

Each is trained and tested on every fold, so that every image is tested once; what is cached is
not trained again. The first is what the others are compared with.
"""

import logging
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import Field

from flows.cli import run as command
from flows.cli.flags import (
    DrawFlags,
    Flags,
    ImageFlags,
    MachineFlags,
    Preset,
    SplitFlags,
    TrainingFlags,
    group,
)


@group()
class CompareFlags(Flags):
    """On how many folds."""

    folds: int = Field(
        5, ge=2, le=100, description="folds, each tested on once (from 2 to 100) [default: 5]"
    )


def main(
    *recipes: str,
    compared: CompareFlags = CompareFlags(),
    data: ImageFlags = ImageFlags(),
    split: DrawFlags = DrawFlags(),
    training: TrainingFlags = TrainingFlags(),
    run: MachineFlags = MachineFlags(),
) -> None:
    """Compare recipes or networks on the same folds, patient by patient.

    Args:
        recipes: two or more presets, architectures or TOML files of training settings; those that
            are no preset begin from --preset, and flags win over all of them
    """
    flags = (compared, data, split, training, run)
    plan_all(recipes, *flags)  # wrong input is said first
    command.run_flow(compare_recipes, recipes, *flags)


if __name__ == "__main__":
    command.answer_help(main, name="compare.py")

from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.plan import Plan, build_recipe, given_of, resolve
from flows.full_pipeline import pipeline_stages, with_images
from resnext.contracts.errors import InputError
from resnext.models.architectures import ARCHITECTURES, is_architecture, is_named
from tasks.callbacks.history import add_tags
from tasks.compare import COMPARISON, compare, publish_comparison
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.compare")  # also where this file is the program


Contestants = dict[str, tuple[Plan, ...]]
"""What is planned for each fold, by the recipe's name."""


@flow(name="compare", flow_run_name="compare {recipes}", persist_result=False, retries=0)
def compare_recipes(
    recipes: tuple[str, ...],
    compared: CompareFlags = CompareFlags(),
    data: ImageFlags = ImageFlags(),
    split: DrawFlags = DrawFlags(),
    training: TrainingFlags = TrainingFlags(),
    run: MachineFlags = MachineFlags(),
) -> State[Any]:
    """Train and test each recipe on the same folds, and compare them patient by patient.

    Args:
        recipes: two or more presets, architectures or TOML files of training settings
        compared: on how many folds
        data: which images
        split: how they are split
        training: how the networks are trained
        run: where and how to compute
    """
    with command.flow_outcome() as outcome:
        plans = plan_all(recipes, compared, data, split, training, run)
        asked = command_line("compare.py", compared, data, split, training, run, positional=recipes)
        outcome.state = Completed(message=run_comparison(plans, asked, flow_run.id))
    return outcome.state


def plan_all(
    recipes: tuple[str, ...],
    compared: CompareFlags,
    data: ImageFlags,
    split: DrawFlags,
    training: TrainingFlags,
    run: MachineFlags,
) -> Contestants:
    """Plan every fold of every recipe.

    Raises:
        InputError: there are fewer than two, two have one name, or one can't be planned.
        pydantic.ValidationError: a value is out of bounds.
    """
    named = {name_of(recipe): recipe for recipe in recipes}
    if len(named) < 2 or len(named) < len(recipes):
        rule = "be at least two of different names"
        remedy = "Name presets, architectures or TOML files, as in: default seed"
        raise InputError("RECIPES", rule, ", ".join(recipes) or "none", remedy)
    parts = {"split": "grouped"} | given_of(split)
    if parts["split"] in ("random", "given"):
        rule = "be grouped or stratified to compare on folds"
        raise InputError("split", rule, parts["split"], "Name one of them, or leave it out.")
    folds = [
        SplitFlags(**parts, fold=f"{fold}/{compared.folds}")
        for fold in range(1, compared.folds + 1)
    ]
    plans: Contestants = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, recipe in named.items():
        own = TrainingFlags(**contestant_flags(recipe, training))
        plans[name] = tuple(resolve(data, fold, own, run) for fold in folds)
        plan = plans[name][0]
        settings = (plan.recipe, plan.weights and plan.weights.key, plan.split)
        if settings in seen:
            got = f"the same settings for {seen[settings]} and {name}"
            remedy = "Flags win over recipes: leave out those that are to be compared."
            raise InputError("RECIPES", "differ", got, remedy)
        seen[settings] = name
    return plans


def name_of(recipe: str) -> str:
    """Call a recipe as it is written, a file by its name alone."""
    return Path(recipe).stem if recipe.endswith(".toml") else recipe


def contestant_flags(recipe: str, common: TrainingFlags) -> dict[str, Any]:
    """Give the training flags of one recipe; what is common to all wins.

    Raises:
        InputError: it is no preset, no architecture and no TOML file of training settings.
    """
    asked = {name: value for name, value in given_of(common).items() if name != "preset"}
    if recipe in get_args(Preset):
        return {"preset": recipe} | asked
    if not recipe.endswith(".toml") and is_architecture(recipe):
        if "arch" in asked:
            rule = "be left out where architectures are compared"
            raise InputError("arch", rule, asked["arch"], f"It would win over {recipe}.")
        return {"preset": common.preset, "arch": recipe} | asked
    if not recipe.endswith(".toml"):
        rule = (
            f"be presets ({', '.join(get_args(Preset))}), architectures "
            f"({', '.join(ARCHITECTURES)} or another of timm) or TOML files"
        )
        raise InputError("RECIPES", rule, f"'{recipe}'", "Check the name.")
    table = command.read_toml(Path(recipe), "RECIPES")
    own = {name.replace("-", "_"): value for name, value in table.items()}
    TrainingFlags.model_validate(own, strict=True)  # where true is no number
    settings = {"preset": common.preset} | own
    file = not is_named(settings.get("weights", "none"))
    build_recipe(settings | ({"weights": "file"} if file else {}), settings["preset"])
    return settings | asked


def run_comparison(plans: Contestants, asked: str, name: str) -> str:
    """Train, test and compare; say in a line how it came out.

    Raises:
        InputError: the images can't be used as they were asked to be.
    """
    first, names = next(iter(plans.values()))[0], tuple(plans)
    add_tags(["compare", first.data_name])
    networks = dict.fromkeys(folds[0].recipe.arch for folds in plans.values())
    facts = {"command": asked, "data": first.data_name, "network": ", ".join(networks)}
    with open_run(first.store, name, facts) as run:
        terminal.log_images(first)
        runtime = with_images(first.runtime(run).model_copy(update={"script_lines": False}))
        predictions = tuple(
            held_out(recipe, number, plan, runtime, run)
            for recipe, folds in plans.items()
            for number, plan in enumerate(folds, start=1)
        )
        found = compare(runtime, names, predictions)
        publish_comparison(f"{first.data_name}: {', '.join(names)}", found)
    log.info("Comparison: %s", run / COMPARISON, extra={"plain": True})
    text = found.path("comparison.txt").read_text(encoding="utf-8")
    return f"{first.data_name}: {text.splitlines()[0]}"


def held_out(recipe: str, fold: int, plan: Plan, runtime: Runtime, run: Path) -> Artifact:
    """Train on one fold and predict what it holds out; its files get a folder of their own."""
    folder = run / "folds" / f"{recipe}-{fold}"
    folder.mkdir(parents=True)
    log.info("%s, fold %d of %d", recipe, fold, plan.split.fold[1] if plan.split.fold else 1)
    stages = pipeline_stages(plan, runtime.model_copy(update={"run": folder}))
    return next(artifact for artifact in stages if artifact.stage == "predict")


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="compare.py"))
