"""Compare recipes or networks on the same folds, patient by patient.

$ python flows/compare.py default seed --data FOLDER --folds 5

Each is trained and tested on every fold, so that every picture is tested once; what is cached is
not trained again. The first is what the others are compared with.
"""

import logging
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import Group, Parameter
from pydantic import Field

from flows.cli import run as command
from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.flags import (
    DataFlags,
    DrawFlags,
    Flags,
    MachineFlags,
    PictureFlags,
    Preset,
    RunFlags,
    SplitFlags,
    TrainingFlags,
)
from flows.cli.plan import Plan, given_of, resolve
from flows.full_pipeline import (
    PICTURES_GROUP,
    RUN_GROUP,
    SPLIT_GROUP,
    TRAINING_GROUP,
    pipeline_stages,
)
from flows.serving import server
from resnext.contracts.errors import InputError
from resnext.data.demonstration import DemoSettings
from resnext.models.architectures import ARCHITECTURES
from resnext.training.recipe import Recipe
from tasks.callbacks.history import add_tags
from tasks.compare import COMPARISON, compare, publish_comparison
from tasks.draw import PICTURES, draw
from tasks.orchestrator import Completed, State, flow, run_id
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

log = logging.getLogger("flows.compare")  # also where this file is the program

COMPARED = Group.create_ordered("What is compared")


class CompareFlags(Flags):
    """On how many folds."""

    folds: Annotated[
        int,
        Field(ge=2, le=100, description="folds, each tested on once (from 2 to 100) [default: 5]"),
    ] = 5


@dataclass(frozen=True)
class Contestant:
    """One recipe: its name, and what is planned for each fold."""

    name: str
    plans: tuple[Plan, ...]


@flow(name="compare", flow_run_name="compare {recipes}", persist_result=False, retries=0)
def compare_recipes(
    recipes: tuple[str, ...],
    compared: CompareFlags = CompareFlags(),
    data: PictureFlags = PictureFlags(),
    split: DrawFlags = DrawFlags(),
    training: TrainingFlags = TrainingFlags(),
    run: MachineFlags = MachineFlags(),
) -> State[Any]:
    """Train and test each recipe on the same folds, and compare them patient by patient.

    Args:
        recipes: two or more presets, architectures or TOML files of training settings
        compared: on how many folds
        data: which pictures
        split: how they are divided
        training: how the networks are trained
        run: where and how to compute
    """
    with command.wrong_input_fails_in_words() as outcome:
        contestants = plan_all(recipes, compared, data, split, training, run)
        add_tags(["compare", contestants[0].plans[0].data_name])
        asked = command_line("compare.py", compared, data, split, training, run, words=recipes)
        outcome.state = Completed(message=run_comparison(contestants, asked, run_id()))
    return outcome.state


def plan_all(
    recipes: tuple[str, ...],
    compared: CompareFlags,
    data: PictureFlags,
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
        raise InputError(
            "RECIPES",
            "be at least two of different names",
            ", ".join(recipes) or "none",
            "Name presets, architectures or TOML files, as in: default seed",
        )
    if split.split in ("random", "given"):
        raise InputError(
            "split",
            "be grouped or stratified to compare on folds",
            split.split,
            "Name one of them, or leave it out.",
        )
    grouped = {"split": "grouped"} | given_of(split)
    contestants = [
        Contestant(
            name,
            tuple(
                resolve(
                    DataFlags(**given_of(data)),
                    SplitFlags(**grouped, fold=f"{fold}/{compared.folds}"),
                    TrainingFlags(**contestant_flags(recipe, training)),
                    RunFlags(**given_of(run)),
                )
                for fold in range(1, compared.folds + 1)
            ),
        )
        for name, recipe in named.items()
    ]
    _require_unlike(contestants)
    return contestants


def _require_unlike(contestants: list[Contestant]) -> None:
    """Raise an InputError where two recipes come to the same settings."""
    seen: dict[tuple[Any, ...], str] = {}
    for contestant in contestants:
        plan = contestant.plans[0]
        settings = (plan.recipe, plan.weights and plan.weights.key, plan.split)
        if settings in seen:
            raise InputError(
                "RECIPES",
                "differ",
                f"the same settings for {seen[settings]} and {contestant.name}",
                "Flags win over recipes: leave out those that are to be compared.",
            )
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
        if common.arch is not None:
            raise InputError(
                "arch",
                "be left out where architectures are compared",
                common.arch,
                f"It would win over {recipe}.",
            )
        return {"preset": common.preset, "arch": recipe} | asked
    if not recipe.endswith(".toml"):
        raise InputError(
            "RECIPES",
            f"be presets ({', '.join(get_args(Preset))}), architectures "
            f"({', '.join(ARCHITECTURES)}) or TOML files",
            f"'{recipe}'",
            "Check the name.",
        )
    settings = {"preset": common.preset} | _settings(Path(recipe))
    Recipe(**{k: v for k, v in settings.items() if k in Recipe.model_fields and k != "weights"})
    return settings | asked


def run_comparison(contestants: list[Contestant], asked: str, name: str) -> str:
    """Train, test and compare; say in a line how it came out.

    Raises:
        InputError: the pictures can't be used as they were asked to be.
    """
    first = contestants[0].plans[0]
    names = tuple(contestant.name for contestant in contestants)
    with open_run(first.store, name, {"command": asked, "data": first.data_name}) as run:
        runtime = Runtime(
            store=first.store, run=run, data=first.data, workers=first.workers,
            verify=first.verify, progress_bar=terminal.is_watched(),
        )  # fmt: skip
        if first.data is None:
            drawn = draw(runtime, DemoSettings())
            runtime = runtime.model_copy(update={"data": drawn.folder / PICTURES})
        predictions = tuple(
            held_out(contestant.name, number, plan, runtime, run)
            for contestant in contestants
            for number, plan in enumerate(contestant.plans, start=1)
        )
        found = compare(runtime, names, predictions)
        publish_comparison(f"{first.data_name}: {', '.join(names)}", found)
    log.info("Comparison: %s", run / COMPARISON, extra={"plain": True})
    words = found.path("comparison.txt").read_text(encoding="utf-8")
    return f"{first.data_name}: {words.splitlines()[0]}"


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
        raise InputError(
            "RECIPES",
            "be readable TOML files",
            f"'{path}'",
            f"It can't be read: {error}.",
        ) from error
    settings = {name.replace("-", "_"): value for name, value in table.items()}
    unknown = [name for name in settings if name not in TrainingFlags.model_fields]
    if unknown:
        raise InputError(
            "RECIPES",
            "hold settings of the training alone",
            f"'{unknown[0]}' in '{path}'",
            "Give what is common to all as a flag.",
        )
    logical = [name for name, value in settings.items() if isinstance(value, bool)]
    if logical:  # which pydantic would take for 0 or 1
        raise InputError(
            "RECIPES",
            "hold numbers and words",
            f"{logical[0]} = true or false in '{path}'",
            "Write the value itself.",
        )
    return settings


def main(
    *recipes: Annotated[str, Parameter(group=COMPARED)],
    compared: Annotated[CompareFlags, Parameter(name="*", group=COMPARED)] = CompareFlags(),
    data: Annotated[PictureFlags, Parameter(name="*", group=PICTURES_GROUP)] = PictureFlags(),
    split: Annotated[DrawFlags, Parameter(name="*", group=SPLIT_GROUP)] = DrawFlags(),
    training: Annotated[TrainingFlags, Parameter(name="*", group=TRAINING_GROUP)] = TrainingFlags(),
    run: Annotated[MachineFlags, Parameter(name="*", group=RUN_GROUP)] = MachineFlags(),
) -> None:
    """Compare recipes or networks on the same folds, patient by patient.

    Args:
        recipes: Two or more presets, architectures or TOML files of training settings. Those that
            are no preset begin from --preset. Flags win over all of them.
        compared: On how many folds.
        data: Which pictures.
        split: How they are divided.
        training: How the networks are trained.
        run: Where and how to compute.
    """
    plan_all(recipes, compared, data, split, training, run)  # wrong input is said first
    terminal.show_only_our_lines()
    with server.connected():
        command.run_flow(compare_recipes, recipes, compared, data, split, training, run)


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="compare.py"))
