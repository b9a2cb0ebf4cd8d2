"""Put costs beside the scores of compared recipes, and hold what their page is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from reports.evaluation.comparison import random_verdict, verdict
from reports.html import render
from reports.sections import comparison

Tables = Sequence[pd.DataFrame]


@dataclass(frozen=True)
class ComparisonContent:
    """Hold what the page of a comparison is made from."""

    data_name: str
    synthetic: bool
    table: pd.DataFrame
    """comparison.csv."""
    figure: bytes
    """The score against cost, a PNG file."""
    recipes: Mapping[str, Mapping[str, str]]
    """By recipe, each setting's name and value."""
    command: str
    """What to type to get this page again."""
    grouped: bool
    """Whether no group was both trained and tested on."""
    environment: Mapping[str, str]
    chosen: Mapping[str, str] = field(default_factory=dict)
    """By training, the settings that a search chose for it."""
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        """Head the page."""
        return f"Comparison: {self.data_name}"


def render_comparison(content: ComparisonContent) -> str:
    """Render the page as one HTML text."""
    said = {"verdict": verdict(content.table), "random_verdict": random_verdict(content.table)}
    return render("comparison.html.j2", content, comparison=comparison, **said)


def with_costs(
    scores: pd.DataFrame,
    sizes: Sequence[Mapping[str, int]],
    times: Sequence[Tables],
    rates: Sequence[Tables],
    embeddings: Sequence[pd.DataFrame | None],
) -> pd.DataFrame:
    """Add what each recipe costs, a row each: the table comparison.csv.

    Columns added: parameters, multiply_adds (of an image), minutes (of all trainings, and of a
    probe of making its features once), images_per_second (of all predictions).

    Args:
        scores: The rows.
        sizes: What size.json holds of each recipe.
        times: What timing.csv holds of each training of each recipe.
        rates: What prediction_timing.csv holds of each of its predictions.
        embeddings: What embedding_timing.csv holds of each probe.
    """
    once = [0.0 if each is None else float(each["seconds"].sum()) for each in embeddings]
    seconds = [sum(float(each["seconds"].sum()) for each in tables) for tables in times]
    predicted = [pd.concat(tables)[["images", "seconds"]].sum() for tables in rates]
    return scores.assign(
        parameters=[size["parameters"] for size in sizes],
        multiply_adds=[size["multiply_adds"] for size in sizes],
        minutes=[(one + all_) / 60 for one, all_ in zip(once, seconds, strict=True)],
        images_per_second=[float(each["images"] / each["seconds"]) for each in predicted],
    )
