"""Compare recipes or networks on the same folds, patient by patient.

$ python flows/compare.py default seed --data FOLDER --folds 5

Each is trained and tested on every fold, so that every image is tested once a seed; what is cached
is not trained again. The first is what the others are compared with. The frozen probe is compared
too, with its own settings unless it is named.
"""

import logging
import sys
from collections.abc import Iterator, Sequence
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
            begin from --preset, and flags win over all of them, but not over the frozen probe
            that is added where it is not named
    """
    flags = (compared, data, split, training, run)
    plan_all(recipes, *flags)  # wrong input is said first
    command.run_flow(compare_recipes, recipes, data, compared, training, run, split)


if __name__ == "__main__":
    command.answer_help(main, name="compare.py")

from flows.cli import terminal
from flows.cli.command_line import command_line
from flows.cli.plan import Plan
from flows.full_pipeline import with_images
from flows.serving.run_name import typed_or
from flows.training.contestants import (
    ADDED_NOTE,
    PROBE,
    PROBE_NOTE,
    Contestants,
    name_of,
    plan_all,
)
from flows.training.networks import of_fold
from flows.training.side_by_side import (
    Network,
    apart,
    result_of,
    share_of,
    side_by_side,
    train_and_test,
)
from flows.training.stages import about, prepare
from reports.sections.comparison import short_rows
from resnext.contracts.formatting import plural
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
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
    """One training of a recipe on a fold or a random split."""

    name: str
    """What people read."""
    on_folds: bool
    """Whether it was tested on a fold, and not on a random split."""
    seed: int
    """The first of the recipe's seeds, by which settings are searched for all of them."""
    network: Network


class Outcome(NamedTuple):
    """Hold what came out of one training."""

    training: Training
    settings: str
    """What a search chose, in words; nothing without one."""
    model: Artifact
    predictions: Artifact


@flow(name="compare", flow_run_name=lambda: typed_or(run_name()), persist_result=False, retries=0)
def compare_recipes(
    recipes: tuple[str, ...],
    data: ImageFlags = ImageFlags(),
    compared: CompareFlags = CompareFlags(),
    training: TrainingFlags = TrainingFlags(),
    run: MachineFlags = MachineFlags(),
    split: DrawFlags = DrawFlags(),
) -> State[Any]:
    """Train and test each recipe on the same folds, and compare them patient by patient.

    Args:
        recipes: Presets, architectures or TOML files of training settings.
    """
    with command.flow_outcome() as outcome:
        plans = plan_all(recipes, compared, data, split, training, run)
        asked = command_line("compare.py", compared, data, split, training, run, positional=recipes)
        said = run_comparison(plans, asked, flow_run.id, compared, recipes)
        outcome.state = Completed(message=said)
    return outcome.state


def run_name() -> str:
    """Name a flow run by what it compares."""
    return f"compare {', '.join(map(name_of, flow_run.parameters['recipes']))}"


def run_comparison(
    plans: Contestants, asked: str, name: str, compared: CompareFlags, recipes: tuple[str, ...]
) -> str:
    """Train, test and compare; say in a line how it came out.

    Raises:
        InputError: the images can't be used as they were asked to be.
    """
    first, names = next(iter(plans.values()))[0], tuple(plans)
    add_tags(["compare", first.data_name])
    networks = dict.fromkeys(planned[0].recipe.arch for planned in plans.values())
    facts = {"command": asked, "data": first.data_name, "network": ", ".join(networks)}
    with open_run(first.store, name, facts) as run:
        terminal.log_images(first)
        runtime = with_images(first.runtime(run).model_copy(update={"script_lines": False}))
        tested = train_all(plans, runtime, compared)
        folds = [each for each in tested if each.training.on_folds]
        answers = tuple(each.predictions for each in folds)
        random = tuple(each.predictions for each in tested if not each.training.on_folds)
        scores = compare(runtime, names, answers, compared.seeds, random)
        shown = show(runtime, scores, folds, about_all(plans, tested, asked, recipes))
        publish_comparison(f"{first.data_name}: {', '.join(names)}", shown)
    rows = terminal.table(short_rows(read_table(shown.path(COMPARISON))), names=1)
    text = scores.path("comparison.txt").read_text(encoding="utf-8")
    log.info("\n%s\n\n%s", rows, text.rstrip(), extra={"plain": True})
    log.info("Comparison: %s", run / COMPARISON, extra={"plain": True})
    log.info("Page: %s", run / PAGE, extra={"plain": True})
    return f"{first.data_name}: {text.splitlines()[0]}"


def train_all(plans: Contestants, runtime: Runtime, compared: CompareFlags) -> list[Outcome]:
    """Train and test everything that is planned, side by side where the machine bears it."""
    trainings = [
        training
        for recipe, planned in plans.items()
        for plan in planned
        for training in trainings_of(recipe, plan, runtime, compared.seeds)
    ]
    jobs = next(iter(plans.values()))[0].jobs
    chosen = search_all(trainings, compared.trials, jobs)
    networks = [
        each.network._replace(prepared=each.network.prepared.with_recipe(settings))
        for each, settings in zip(trainings, chosen, strict=True)
    ]
    tested = train_and_test(networks, jobs)
    return [
        Outcome(training._replace(network=network), as_flags(settings), *made)
        for training, network, settings, made in zip(
            trainings, networks, chosen, tested, strict=True
        )
    ]


def trainings_of(recipe: str, plan: Plan, runtime: Runtime, seeds: int) -> Iterator[Training]:
    """Run the stages before training, and give each training; its files get a folder of their own.

    The first seed is not named.
    """
    first, folds = plan.recipe.seed, plan.folds.folds
    log.info("%s, %s", recipe, f"{folds} folds" if folds else "random split")
    own = apart(runtime, f"prepared/{recipe}" + ("" if folds else "-random"))
    manifest = scan(own, plan.reading, plan.decisions)
    parts = split(own, manifest, plan.split, *plan.tables)
    prepared = result_of(prepare(plan, own, manifest, parts))
    for seed in range(first, first + seeds):
        seeded, suffix = prepared.with_recipe({"seed": seed}), f"-seed{seed}" * (seed != first)
        for number in range(1, (folds or 1) + 1):
            name = f"{recipe}-{number if folds else 'random'}{suffix}"
            place = apart(runtime, f"folds/{name}", name)
            network = of_fold(place, seeded, folds, 1, number) if folds else Network(place, seeded)
            where = f"fold {number} of {folds}" if folds else "random split"
            yield Training(f"{recipe}, {where}, seed {seed}", bool(folds), first, network)


def search_all(
    trainings: Sequence[Training], trials: int, jobs: int | None
) -> list[dict[str, Any]]:
    """Give the best settings of so many for each, tried inside its own training part."""
    if not trials:
        return [{} for _ in trainings]
    asked = []
    for each in trainings:
        own, given = each.network
        inner = replace(given, split=split_inside(own, given.split, each.seed))
        *tables, compute, weights, features, _ = inner.with_recipe({"seed": each.seed}).training
        asked.append((own, *tables, compute, trials, weights, features))
    new = sum(not search.is_cached(*each) for each in asked)
    with side_by_side(new, trainings[0].network, jobs) as submit:
        searches = [submit(search, *each) for each in asked]
        return [dict(read_json(each.result().path(SEARCH))["settings"]) for each in searches]


def as_flags(settings: dict[str, Any]) -> str:
    """Write what a search chose for people, numbers to three digits."""
    shown = {
        name.replace("_", "-"): f"{value:.3g}" if isinstance(value, float) else value
        for name, value in settings.items()
    }
    return ", ".join(f"--{name} {value}" for name, value in shown.items())


def show(
    runtime: Runtime, scores: Artifact, folds: Sequence[Outcome], about: AboutComparison
) -> Artifact:
    """Put scores and costs into a table, a figure and a page."""
    firsts = folds[:: len(folds) // len(about.recipes)]
    return show_comparison(
        runtime,
        scores,
        tuple(size(each.training.network.runtime, each.model) for each in firsts),
        tuple(each.model for each in folds),
        tuple(each.predictions for each in folds),
        tuple(each.training.network.prepared.features for each in firsts),
        about,
    )


def about_all(
    plans: Contestants, tested: Sequence[Outcome], asked: str, named: tuple[str, ...]
) -> AboutComparison:
    """Gather the facts of a comparison for its page."""
    first = next(iter(plans.values()))[0]
    recipes = {name: each[0].flags_as_text()["training"] for name, each in plans.items()}
    settings = dict.fromkeys(flag for each in recipes.values() for flag in each)
    share = share_of(first.compute, first.folds.folds or 1)
    return AboutComparison(
        data_name=first.data_name,
        synthetic=first.data is None,
        command=asked,
        grouped=first.split.strategy == "grouped",
        recipes=tuple(
            (name, tuple((flag, each.get(flag, "")) for flag in settings))
            for name, each in recipes.items()
        ),
        chosen=tuple((each.training.name, each.settings) for each in tested if each.settings),
        environment=about(replace(first, compute=share)).environment,
        notes=(*_of_threads(share.threads, first.compute.threads), *_of_probe(plans, named)),
    )


def _of_threads(share: int, threads: int) -> Iterator[str]:
    """Say by how many threads a training was computed, where it is not by all of them."""
    if share < threads:
        yield (
            f"Each training and prediction was computed by {plural(share, 'thread')} of {threads}, "
            "so that several ran side by side. Minutes are those of each, added up."
        )


def _of_probe(plans: Contestants, named: tuple[str, ...]) -> Iterator[str]:
    """Say what the probe is, and that flags do not count for one that nobody named."""
    if PROBE in plans:
        yield PROBE_NOTE if PROBE in named else f"{PROBE_NOTE} {ADDED_NOTE}"


if __name__ == "__main__":
    sys.exit(command.run_command(main, name="compare.py"))
