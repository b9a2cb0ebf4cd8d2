"""Compare recipes or networks on the same folds, patient by patient.

$ python flows/compare.py default seed --data FOLDER --folds 5

Each is trained and tested on every fold, so that every image is tested once a seed; what is cached
is not trained again. The first is what the others are compared with. The frozen probe is compared
too, with its own settings.
"""

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

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
    """What is compared, and on what."""

    folds: int = Field(
        5, ge=2, le=100, description="folds, each tested on once (from 2 to 100) [default: 5]"
    )
    seeds: int = Field(
        1, ge=1, le=100,
        description="trainings of each fold, by --seed and the seeds after it (from 1 to 100) "
        "[default: 1]",
    )  # fmt: skip
    splits: Literal["grouped", "random,grouped", "grouped,random"] = Field(
        "grouped",
        description="grouped: the folds alone; random,grouped: one plain random split of all "
        "images besides, to see what it would have said of the same network [default: grouped]",
    )
    trials: int = Field(
        0, ge=0, le=10_000,
        description="settings to try for each fold of each recipe, inside its training part: --lr, "
        "--weight-decay, --augment and --head-lr, or of a probe --epochs and --label-smoothing "
        "instead of the last two. The best are trained with (from 0 to 10000) [default: 0]",
    )  # fmt: skip
    no_probe: bool = Field(
        False,
        description="leave out the frozen probe (preset transfer), which else is compared too with "
        "its own settings: of the flags of training only --seed counts for it [default: off]",
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
        recipes: presets, architectures or TOML files of training settings; those that are no preset
            begin from --preset, and flags win over all of them, but not over the frozen probe,
            which is added
    """
    flags = (compared, data, split, training, run)
    plan_all(recipes, *flags)  # wrong input is said first
    command.run_flow(compare_recipes, recipes, *flags)


if __name__ == "__main__":
    command.answer_help(main, name="compare.py")

from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.plan import Plan, build_recipe, given_of, resolve
from flows.full_pipeline import about, pipeline_stages, with_images
from reports.sections.comparison import short_rows
from resnext.contracts.errors import InputError
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
from resnext.models.architectures import ARCHITECTURES, is_architecture, is_named
from resnext.training.recipe import with_settings
from tasks.callbacks.history import add_tags
from tasks.compare import (
    COMPARISON,
    PAGE,
    AboutComparison,
    compare,
    publish_comparison,
    show_comparison,
)
from tasks.search import SEARCH, search, split_inside
from tasks.size import size
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.compare")  # also where this file is the program


PROBE = "transfer"
"""The preset, and the row, of the frozen probe."""
PROBE_NOTE = (
    f"{PROBE} is the frozen probe, which stands in every comparison: small heads on a network that "
    "has learnt from ImageNet. It keeps its own settings, such as image size and epochs, whatever "
    "flags are given; only --seed counts for it."
)

Contestants = dict[str, tuple[Plan, ...]]
"""What is planned of each recipe: of each seed the folds, and a random split if that was asked."""


class Tested(NamedTuple):
    """Hold what came out of one training, and where the run keeps it."""

    runtime: Runtime
    settings: str
    """What a search chose, in words; nothing without one."""
    model: Artifact
    predictions: Artifact
    features: Artifact | None


Outcomes = dict[str, list[Tested]]
"""What came out of each plan of each recipe."""


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
        recipes: presets, architectures or TOML files of training settings
        compared: on how many folds, with how many seeds
        data: which images
        split: how they are split
        training: how the networks are trained
        run: where and how to compute
    """
    with command.flow_outcome() as outcome:
        plans = plan_all(recipes, compared, data, split, training, run)
        asked = command_line("compare.py", compared, data, split, training, run, positional=recipes)
        said = run_comparison(plans, asked, flow_run.id, compared.trials)
        outcome.state = Completed(message=said)
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
        InputError: there are too few, two have one name or are the same, or one can't be planned.
        pydantic.ValidationError: a value is out of bounds.
    """
    contestants = name_all(recipes, compared, training)
    splits = splits_of(compared, split)
    plans: Contestants = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, own in contestants.items():
        found = tuple(resolve(data, each, own, run) for each in splits)
        settings = (found[0].recipe, found[0].weights and found[0].weights.key, found[0].split)
        if settings in seen and name == PROBE:
            continue  # it has another name
        if settings in seen:
            got = f"the same settings for {seen[settings]} and {name}"
            remedy = "Flags win over recipes: leave out those that are to be compared."
            raise InputError("RECIPES", "differ", got, remedy)
        seen[settings] = name
        plans[name] = tuple(each for n in range(compared.seeds) for each in seeded(found, n))
    if len(plans) < 2:
        remedy = "It is compared with itself: name another recipe."
        raise InputError(
            "RECIPES", "be something besides the frozen probe", ", ".join(plans), remedy
        )
    return plans


def name_all(
    recipes: tuple[str, ...], compared: CompareFlags, training: TrainingFlags
) -> dict[str, TrainingFlags]:
    """Give the flags of each recipe by its name; the probe comes last, if nothing is called so.

    Raises:
        InputError: there are too few, two have one name, or one is nothing that can be trained.
    """
    named = {name_of(recipe): recipe for recipe in recipes}
    least = 2 if compared.no_probe else 1
    if len(named) < least or len(named) < len(recipes):
        rule = f"be at least {'two' if compared.no_probe else 'one'}, each of another name"
        remedy = "Name presets, architectures or TOML files, as in: default seed"
        raise InputError("RECIPES", rule, ", ".join(recipes) or "none", remedy)
    found = {
        name: TrainingFlags(**contestant_flags(each, training)) for name, each in named.items()
    }
    if PROBE not in found and not compared.no_probe:
        seed = {name: value for name, value in given_of(training).items() if name == "seed"}
        found[PROBE] = TrainingFlags(preset=PROBE, **seed)
    return found


def splits_of(compared: CompareFlags, split: DrawFlags) -> list[SplitFlags]:
    """Give the splits to train on: the folds, then the random one if it was asked for.

    Raises:
        InputError: the images are not to be split into groups.
    """
    parts = {"split": "grouped"} | given_of(split)
    random = compared.splits != "grouped"
    if parts["split"] in ("random", "given") or (random and parts["split"] != "grouped"):
        rule = "be grouped" if random else "be grouped or stratified"
        remedy = "Leave it out."
        raise InputError("split", f"{rule} to compare on folds", parts["split"], remedy)
    folds = range(1, compared.folds + 1)
    found = [SplitFlags(**parts, fold=f"{fold}/{compared.folds}") for fold in folds]
    return found + [SplitFlags(**parts | {"split": "random"})] * random


def seeded(plans: tuple[Plan, ...], number: int) -> Iterator[Plan]:
    """Give the plans with the seed so many after their own."""
    for plan in plans:
        seed = plan.recipe.seed + number
        yield replace(plan, recipe=with_settings(plan.recipe, {"seed": seed}))


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


def run_comparison(plans: Contestants, asked: str, name: str, trials: int = 0) -> str:
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
        tested = train_all(plans, runtime, trials)
        scores = compare_all(runtime, plans, tested)
        shown = show(runtime, scores, plans, tested, asked)
        publish_comparison(f"{first.data_name}: {', '.join(names)}", shown)
    rows = terminal.table(short_rows(read_table(shown.path(COMPARISON))), names=1)
    text = scores.path("comparison.txt").read_text(encoding="utf-8")
    log.info("\n%s\n\n%s", rows, text.rstrip(), extra={"plain": True})
    log.info("Comparison: %s", run / COMPARISON, extra={"plain": True})
    log.info("Page: %s", run / PAGE, extra={"plain": True})
    return f"{first.data_name}: {text.splitlines()[0]}"


def train_all(plans: Contestants, runtime: Runtime, trials: int) -> Outcomes:
    """Train and predict everything that is planned, recipe by recipe."""
    return {
        recipe: [held_out(recipe, plan, each[0].recipe.seed, runtime, trials) for plan in each]
        for recipe, each in plans.items()
    }


def held_out(recipe: str, plan: Plan, seed: int, runtime: Runtime, trials: int) -> Tested:
    """Train on one fold and predict what it holds out; its files get a folder of their own.

    `seed` is the first of the recipe's seeds, by which settings are searched for all of them.
    """
    folder = Path(str(runtime.run)) / "folds" / place_of(recipe, plan, seed)
    folder.mkdir(parents=True)
    log.info("%s", described(recipe, plan))
    own = runtime.model_copy(update={"run": folder})
    settings = search_inside(plan, seed, own, trials) if trials else {}
    best = replace(plan, recipe=with_settings(plan.recipe, settings))
    found = stages_until("predict", best, own)
    return Tested(own, as_flags(settings), found["train"], found["predict"], found.get("embed"))


def stages_until(last: str, plan: Plan, runtime: Runtime) -> dict[str, Artifact]:
    """Run the stages until this one has ended; give what came out, by stage."""
    found: dict[str, Artifact] = {}
    for artifact in pipeline_stages(plan, runtime):
        found[artifact.stage] = artifact
        if artifact.stage == last:
            break
    return found


def search_inside(plan: Plan, seed: int, runtime: Runtime, trials: int) -> dict[str, Any]:
    """Give the best settings of so many that are tried inside the training part of a plan."""
    last = "embed" if plan.recipe.method == "probe" else "pack"
    found = stages_until(last, plan, runtime)
    inner = split_inside(runtime, found["split"], seed)
    first = with_settings(plan.recipe, {"seed": seed})
    given = (found["scan"], inner, found["pack"], first, plan.compute, trials, plan.weights)
    best = read_json(search(runtime, *given, found.get("embed")).path(SEARCH))
    return dict(best["settings"])


def place_of(recipe: str, plan: Plan, seed: int) -> str:
    """Name the folder of one training; with one seed alone it is not named."""
    number = plan.split.fold[0] if plan.split.fold else "random"
    return f"{recipe}-{number}" + (f"-seed{plan.recipe.seed}" if plan.recipe.seed != seed else "")


def described(recipe: str, plan: Plan) -> str:
    """Name one training for people."""
    where = "fold {} of {}".format(*plan.split.fold) if plan.split.fold else "random split"
    return f"{recipe}, {where}, seed {plan.recipe.seed}"


def as_flags(settings: dict[str, Any]) -> str:
    """Write what a search chose for people, numbers to three digits."""
    shown = {
        name.replace("_", "-"): f"{value:.3g}" if isinstance(value, float) else value
        for name, value in settings.items()
    }
    return ", ".join(f"--{name} {value}" for name, value in shown.items())


def of_folds(plans: Contestants, tested: Outcomes, yes: bool = True) -> tuple[Tested, ...]:
    """Give what came out of the folds in one row, or what of random splits."""
    pairs = (pair for name in plans for pair in zip(plans[name], tested[name], strict=True))
    return tuple(each for plan, each in pairs if (plan.split.fold is not None) == yes)


def compare_all(runtime: Runtime, plans: Contestants, tested: Outcomes) -> Artifact:
    """Compare the recipes by the answers to the folds, and say what a random split says."""
    folds, random = (
        tuple(each.predictions for each in of_folds(plans, tested, yes)) for yes in (True, False)
    )
    seeds = len({plan.recipe.seed for plan in next(iter(plans.values()))})
    return compare(runtime, tuple(plans), folds, seeds, random)


def show(
    runtime: Runtime, scores: Artifact, plans: Contestants, tested: Outcomes, asked: str
) -> Artifact:
    """Put scores and costs into a table, a figure and a page."""
    every, firsts = of_folds(plans, tested), [found[0] for found in tested.values()]
    return show_comparison(
        runtime,
        scores,
        tuple(size(each.runtime, each.model) for each in firsts),
        tuple(each.model for each in every),
        tuple(each.predictions for each in every),
        tuple(each.features for each in firsts),
        about_all(plans, tested, asked),
    )


def about_all(plans: Contestants, tested: Outcomes, asked: str) -> AboutComparison:
    """Gather the facts of a comparison for its page."""
    first = next(iter(plans.values()))[0]
    recipes = {name: each[0].flags_as_text()["training"] for name, each in plans.items()}
    settings = dict.fromkeys(flag for each in recipes.values() for flag in each)
    return AboutComparison(
        data_name=first.data_name,
        synthetic=first.data is None,
        command=asked,
        grouped=first.split.strategy == "grouped",
        recipes=tuple(
            (name, tuple((flag, each.get(flag, "")) for flag in settings))
            for name, each in recipes.items()
        ),
        chosen=tuple(
            (described(name, plan), found.settings)
            for name, each in plans.items()
            for plan, found in zip(each, tested[name], strict=True)
            if found.settings
        ),
        environment=about(first).environment,
        notes=(PROBE_NOTE,) if PROBE in plans and plans[PROBE][0].preset == PROBE else (),
    )


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="compare.py"))
