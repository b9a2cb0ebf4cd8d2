"""Compare recipes or networks on the same folds, patient by patient.

$ python flows/compare.py default seed --data FOLDER --folds 5

Each is trained and tested on every fold, so that every image is tested once; what is cached is
not trained again. The first is what the others are compared with.
"""

import logging
import sys
import tomllib
from dataclasses import dataclass
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
        recipes: Two or more presets, architectures or TOML files of training settings. Those that
            are no preset begin from --preset. Flags win over all of them.
    """
    flags = (compared, data, split, training, run)
    plan_all(recipes, *flags)  # wrong input is said first
    command.run_flow(compare_recipes, recipes, *flags)


if __name__ == "__main__":
    command.answer_help(main, name="compare.py")

from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.plan import Plan, given_of, resolve
from flows.full_pipeline import pipeline_stages, with_images
from resnext.contracts.errors import InputError
from resnext.models.architectures import ARCHITECTURES
from resnext.training.recipe import Recipe
from tasks.callbacks.history import add_tags
from tasks.compare import COMPARISON, compare, publish_comparison
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.compare")  # also where this file is the program


@dataclass(frozen=True)
class Contestant:
    """One recipe: its name, and what is planned for each fold."""

    name: str
    plans: tuple[Plan, ...]


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
        contestants = plan_all(recipes, compared, data, split, training, run)
        add_tags(["compare", contestants[0].plans[0].data_name])
        asked = command_line("compare.py", compared, data, split, training, run, positional=recipes)
        outcome.state = Completed(message=run_comparison(contestants, asked, flow_run.id))
    return outcome.state


def plan_all(
    recipes: tuple[str, ...],
    compared: CompareFlags,
    data: ImageFlags,
    split: DrawFlags,
    training: TrainingFlags,
    run: MachineFlags,
) -> list[Contestant]:
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
    contestants = []
    for name, recipe in named.items():
        own = TrainingFlags(**contestant_flags(recipe, training))
        plans = tuple(resolve(data, fold, own, run) for fold in folds)
        contestants.append(Contestant(name, plans))
    _require_unlike(contestants)
    return contestants


def _require_unlike(contestants: list[Contestant]) -> None:
    """Raise an InputError where two recipes come to the same settings."""
    seen: dict[tuple[Any, ...], str] = {}
    for contestant in contestants:
        plan = contestant.plans[0]
        settings = (plan.recipe, plan.weights and plan.weights.key, plan.split)
        if settings in seen:
            got = f"the same settings for {seen[settings]} and {contestant.name}"
            remedy = "Flags win over recipes: leave out those that are to be compared."
            raise InputError("RECIPES", "differ", got, remedy)
        seen[settings] = contestant.name


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
    if recipe in ARCHITECTURES:
        if "arch" in asked:
            rule = "be left out where architectures are compared"
            raise InputError("arch", rule, asked["arch"], f"It would win over {recipe}.")
        return {"preset": common.preset, "arch": recipe} | asked
    if not recipe.endswith(".toml"):
        rule = (
            f"be presets ({', '.join(get_args(Preset))}), architectures "
            f"({', '.join(ARCHITECTURES)}) or TOML files"
        )
        raise InputError("RECIPES", rule, f"'{recipe}'", "Check the name.")
    settings = {"preset": common.preset} | _settings(Path(recipe))
    Recipe(**{k: v for k, v in settings.items() if k in Recipe.model_fields and k != "weights"})
    return settings | asked


def run_comparison(contestants: list[Contestant], asked: str, name: str) -> str:
    """Train, test and compare; say in a line how it came out.

    Raises:
        InputError: the images can't be used as they were asked to be.
    """
    first = contestants[0].plans[0]
    names = tuple(contestant.name for contestant in contestants)
    networks = dict.fromkeys(contestant.plans[0].recipe.arch for contestant in contestants)
    facts = {"command": asked, "data": first.data_name, "network": ", ".join(networks)}
    with open_run(first.store, name, facts) as run:
        terminal.log_images(first)
        runtime = with_images(first.runtime(run).model_copy(update={"script_lines": False}))
        predictions = tuple(
            held_out(contestant.name, number, plan, runtime, run)
            for contestant in contestants
            for number, plan in enumerate(contestant.plans, start=1)
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


def _settings(path: Path) -> dict[str, Any]:
    """Read the training settings of a TOML file."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        remedy = f"It can't be read: {error}."
        raise InputError("RECIPES", "be readable TOML files", f"'{path}'", remedy) from error
    settings = {name.replace("-", "_"): value for name, value in table.items()}
    for name, value in settings.items():
        if name not in TrainingFlags.model_fields:
            got, remedy = f"'{name}' in '{path}'", "Give what is common to all as a flag."
            raise InputError("RECIPES", "hold settings of the training alone", got, remedy)
        field = Recipe.model_fields.get(name)
        if isinstance(value, bool) and not (field and field.annotation is bool):
            got = f"{name} = true or false in '{path}'"  # which pydantic would take for 0 or 1
            raise InputError("RECIPES", "hold numbers and words", got, "Write the value itself.")
    return settings


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="compare.py"))
