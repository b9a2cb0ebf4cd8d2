"""Compare recipes or networks on the same folds, patient by patient.

$ python flows/compare.py default seed --data FOLDER --folds 5

Each is trained and tested on every fold, so that every image is tested once a seed; what is cached
is not trained again. The first is what the others are compared with. The frozen probe is compared
too, with its own settings.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from flows.cli import run as command
from flows.cli.flags import CompareFlags, DrawFlags, ImageFlags, MachineFlags, TrainingFlags


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
from flows.cli.plan import Plan
from flows.full_pipeline import about, prepare, with_images
from flows.training.contestants import PROBE, PROBE_NOTE, Contestants, plan_all
from flows.training.side_by_side import (
    Network,
    Prepared,
    apart,
    result_of,
    share_of,
    side_by_side,
    train_and_test,
)
from reports.sections.comparison import short_rows
from resnext.contracts.formatting import plural
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
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
from tasks.scan import scan
from tasks.search import SEARCH, search, split_inside
from tasks.size import size
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tasks.stage.runs import open_run

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

log = logging.getLogger("flows.compare")  # also where this file is the program


class Training(NamedTuple):
    """A training that is prepared, and the seed by which its settings are searched."""

    runtime: Runtime
    prepared: Prepared
    seed: int


class Outcome(NamedTuple):
    """Hold what came out of one training."""

    network: Network
    settings: str
    """What a search chose, in words; nothing without one."""
    model: Artifact
    predictions: Artifact


Outcomes = dict[str, list[Outcome]]
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
    """Train and test everything that is planned, side by side where the machine bears it."""
    trainings = [
        prepare_one(recipe, plan, each[0].recipe.seed, runtime)
        for recipe, each in plans.items()
        for plan in each
    ]
    jobs = next(iter(plans.values()))[0].jobs
    settings = search_all(trainings, trials, jobs) if trials else [{} for _ in trainings]
    networks = [
        Network(each.runtime, with_recipe(each.prepared, chosen))
        for each, chosen in zip(trainings, settings, strict=True)
    ]
    tested = iter(train_and_test(networks, jobs))
    rows = zip(networks, settings, tested, strict=True)
    outcomes = iter([Outcome(network, as_flags(chosen), *made) for network, chosen, made in rows])
    return {recipe: [next(outcomes) for _ in each] for recipe, each in plans.items()}


def prepare_one(recipe: str, plan: Plan, seed: int, runtime: Runtime) -> Training:
    """Run the stages before a training; its files get a folder of their own.

    `seed` is the first of the recipe's seeds, by which settings are searched for all of them.
    """
    name = place_of(recipe, plan, seed)
    log.info("%s", described(recipe, plan))
    own = apart(runtime, f"folds/{name}")
    manifest = scan(own, plan.reading)
    parts = split(own, manifest, plan.split, *plan.tables)
    prepared = result_of(prepare(plan, own, manifest, parts))
    share = share_of(plan.compute, plan.split.fold[1] if plan.split.fold else 1)
    prepared = replace(prepared, compute=share)
    return Training(own.model_copy(update={"label": name}), prepared, seed)


def search_all(
    trainings: Sequence[Training], trials: int, jobs: int | None
) -> list[dict[str, Any]]:
    """Give the best settings of so many for each, tried inside its own training part."""
    asked = []
    for own, given, seed in trainings:
        inner = replace(given, split=split_inside(own, given.split, seed))
        *tables, compute, weights, features = with_recipe(inner, {"seed": seed}).training
        asked.append((own, *tables, compute, trials, weights, features))
    new = sum(not search.is_cached(*each) for each in asked)
    with side_by_side(new, trainings[0].prepared.compute, jobs) as submit:
        searches = [submit(search, *each) for each in asked]
        return [dict(read_json(each.result().path(SEARCH))["settings"]) for each in searches]


def with_recipe(prepared: Prepared, settings: Mapping[str, Any]) -> Prepared:
    """Give what a network is trained with, with some settings of its recipe changed."""
    return replace(prepared, recipe=with_settings(prepared.recipe, settings))


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


def of_folds(plans: Contestants, tested: Outcomes, yes: bool = True) -> tuple[Outcome, ...]:
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
        tuple(size(each.network.runtime, each.model) for each in firsts),
        tuple(each.model for each in every),
        tuple(each.predictions for each in every),
        tuple(each.network.prepared.features for each in firsts),
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
        notes=(*_of_threads(first), *_of_probe(plans)),
    )


def _of_threads(plan: Plan) -> Iterator[str]:
    """Say by how many threads a training was computed, where it is not by all of them."""
    share = share_of(plan.compute, plan.split.fold[1] if plan.split.fold else 1).threads
    if share < plan.compute.threads:
        yield (
            f"Each training and prediction was computed by {plural(share, 'thread')} of "
            f"{plan.compute.threads}, so that several ran side by side. Minutes are those of each, "
            "added up."
        )


def _of_probe(plans: Contestants) -> Iterator[str]:
    if PROBE in plans and plans[PROBE][0].preset == PROBE:
        yield PROBE_NOTE


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="compare.py"))
