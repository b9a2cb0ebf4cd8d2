"""Compare recipes by the predictions of their folds, and show how they compare."""

import logging
from collections.abc import Sequence
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict

from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table, write_table
from tasks.callbacks.history import call_server
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

log = logging.getLogger(__name__)

SCORES = "comparison_scores.csv"
COMPARISON = "comparison.csv"
PAGE = "comparison.html"
FIGURE = "comparison"

Facts = tuple[tuple[str, str], ...]
Tested = Annotated[tuple[Artifact, ...], Reads("predictions.csv")]


class AboutComparison(BaseModel):
    """What the page says of a comparison besides the tables, in words."""

    model_config = ConfigDict(frozen=True)

    data_name: str
    synthetic: bool
    command: str
    grouped: bool
    recipes: tuple[tuple[str, Facts], ...]
    environment: Facts
    chosen: Facts = ()
    notes: tuple[str, ...] = ()


@stage(run_name="compare recipes", log_again="comparison.txt")
def compare(
    work: Work,
    recipes: tuple[str, ...],
    predictions: Tested,
    seeds: int = 1,
    random: Tested = (),
) -> None:
    """Write comparison_scores.csv and, in words, comparison.txt.

    `predictions` holds the folds of the first seed of the first recipe, then those of its second
    seed, and so on; `random` holds what the seeds of each recipe say on a random split, if known.
    """
    from reports.evaluation import comparison
    from reports.evaluation.folds import pool_repeats

    tables, others = (_read(each, "predictions.csv") for each in (predictions, random))
    folds = len(tables) // (seeds * len(recipes))
    pooled = [pool_repeats(each, folds) for each in _parts(tables, len(recipes))]
    drawn = [pool_repeats(each, 1) for each in _parts(others, len(recipes) if others else 0)]
    table = comparison.compare(
        dict(zip(recipes, pooled, strict=True)), dict(zip(recipes, drawn, strict=False))
    )
    write_table(table, work.out / SCORES)
    words = "\n".join([*comparison.verdict(table), *comparison.random_verdict(table)])
    log.info(words)
    (work.out / "comparison.txt").write_text(f"{words}\n", encoding="utf-8")


def _read(artifacts: Sequence[Artifact], name: str) -> list[pd.DataFrame]:
    return [read_table(artifact.path(name)) for artifact in artifacts]


def _parts(tables: Sequence[pd.DataFrame], count: int) -> list[Sequence[pd.DataFrame]]:
    """Part tables into so many equal runs."""
    size = len(tables) // max(1, count)
    return [tables[number * size : (number + 1) * size] for number in range(count)]


@stage(
    run_name="show the comparison",
    clock_files=(COMPARISON, PAGE, f"{FIGURE}.png", f"{FIGURE}.svg"),
)
def show_comparison(
    work: Work,
    scores: Annotated[Artifact, Reads(SCORES)],
    sizes: Annotated[tuple[Artifact, ...], Reads("size.json")],
    models: Annotated[tuple[Artifact, ...], Reads("timing.csv")],
    predictions: Annotated[tuple[Artifact, ...], Reads("prediction_timing.csv")],
    features: Annotated[tuple[Artifact | None, ...], Reads("embedding_timing.csv")],
    about: AboutComparison,
) -> None:
    """Write comparison.csv, comparison.html, and the figure as .png and .svg.

    `sizes` and `features` hold one artifact a recipe, of a probe alone; `models` and
    `predictions` as many for each recipe. All files hold clock times: minutes and images a second.
    """
    from reports import comparison
    from reports.drawing import style
    from reports.drawing.score_and_cost import plot_score_and_cost

    clocks = (models, "timing.csv"), (predictions, "prediction_timing.csv")
    times, rates = (_parts(_read(given, clock), len(sizes)) for given, clock in clocks)
    table = comparison.with_costs(
        read_table(scores.path(SCORES)),
        [read_json(each.path("size.json")) for each in sizes],
        times,
        rates,
        [read_table(each.path("embedding_timing.csv")) if each else None for each in features],
    )
    write_table(table, work.out / COMPARISON)
    image, _ = style.save_figure(plot_score_and_cost(table), work.out, FIGURE)
    facts = about.model_dump() | {"recipes": {name: dict(each) for name, each in about.recipes}}
    facts |= {"environment": dict(about.environment), "chosen": dict(about.chosen)}
    content = comparison.ComparisonContent(table=table, figure=image.read_bytes(), **facts)
    page = comparison.render_comparison(content)
    (work.out / PAGE).write_text(page, encoding="utf-8")


@task(task_run_name="publish to the UI", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_comparison(name: str, found: Artifact) -> None:
    """Show the comparison on the flow run's page."""
    from reports.sections.comparison import short_rows

    rows = short_rows(read_table(found.path(COMPARISON)))
    description = f"Recipes compared: {name}"
    call_server(
        lambda: create_table_artifact(table=rows, key="comparison", description=description)
    )
