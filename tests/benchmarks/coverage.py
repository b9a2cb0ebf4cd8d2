"""Simulate how often the evaluation's intervals of 95 % hold the truth, and write docs/coverage.md.

Test parts are drawn whose true scores are known. The images of a group resemble each other. Those
of one class in a group have a share of right answers of their own, from a beta distribution, with
the correlation 0.5 between two images; the scores that an AUROC ranks are half the group's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from reports.arrays import UNDEFINED, FloatArray, IntArray, Interval
from reports.evaluation import intervals
from reports.evaluation.bootstrap import interval, resample
from reports.evaluation.calibration_curve import calibration_curve
from reports.evaluation.decision_curve import benefit_interval
from reports.evaluation.evaluate import summarise
from reports.evaluation.intervals import effective_number, wilson
from reports.evaluation.logistic import fit_line, log_odds
from reports.evaluation.metrics import CLASS_METRICS, select
from reports.evaluation.predictive import predictive_values
from reports.evaluation.sample import Sample, weigh

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
LIKENESS = 0.5
RUNS = 4000
Sizes = tuple[int, int]
"""A group holds at least and at most so many images, each number as often."""
SIZES: Sequence[Sizes] = ((1, 3), (8, 8), (1, 14))
SHARES = (0.8, 0.9, 0.95, 0.98)
AUROCS = (0.7, 0.8, 0.9, 0.97)
APART = (1, 2, 3)
"""So many standard deviations lie between the scores of a class and of the others."""
COUNTED = ("balanced_accuracy", "macro_f1", "weighted_f1", "mcc")
DRAWN = ("average_precision", "log_loss", "brier", "brier_skill")
RECALIBRATED = ("slope", "intercept")
PROBABILITIES = (0.2, 0.5, 0.8)
"""The places where the calibration curve is looked at."""
THRESHOLDS = (0.1, 0.3, 0.5, 0.8)
"""Those at which the net benefit is looked at."""
PREDICTIVE = ("ppv", "npv", "lr_positive", "lr_negative")
RARE = 0.05
"""The prevalence that predictive values are given for besides."""
OF_CLASS = {metric.name: metric for metric in CLASS_METRICS}


@dataclass(frozen=True)
class Answers:
    """Hold what test parts are like of which the answers count."""

    groups: int
    recalls: tuple[float, ...]
    """The true recall of each class; a wrong answer is any other class."""
    sizes: Sizes
    holds: str = "one class"
    """"one class", "any class", or "one class, 5 the first": the first class has 5 groups."""

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw a test part."""
        groups, count = grouped(rng, self.groups, self.sizes), len(self.recalls)
        true = self._classes()[groups]
        if self.holds == "any class":
            true = rng.integers(count, size=len(groups))
        rights = rng.random(len(groups)) < shares(rng, self.recalls, self.groups)[groups, true]
        others = (true + rng.integers(1, count, len(groups))) % count
        names = tuple(f"c{place}" for place in range(count))
        uniform = np.full((len(groups), count), 1 / count)
        return Sample(names, true, np.where(rights, true, others), uniform, groups)

    def truth(self) -> dict[str, float]:
        """Give the true scores, from what an endless test part would count."""
        recalls, count = np.array(self.recalls), len(self.recalls)
        there = np.bincount(self._classes(), minlength=count) / self.groups
        if self.holds == "any class":
            there = np.full(count, 1 / count)
        right, wrong = there * recalls, there * (1 - recalls) / (count - 1)
        given = right + wrong.sum() - wrong
        counted = weigh(self.sample(np.random.default_rng(0)))
        endless = replace(counted, right=right[None], there=there[None], given=given[None])
        return {m.name: float(m.compute(endless)[0]) for m in select(COUNTED)}

    def _classes(self) -> IntArray:
        """Give each group its class, (G,)."""
        places, count = np.arange(self.groups), len(self.recalls)
        if self.holds == "one class, 5 the first":
            return np.where(places < 5, 0, 1 + places % (count - 1))
        return places % count


@dataclass(frozen=True)
class Ranks:
    """Hold what test parts of two classes are like of which the probabilities count."""

    groups: int
    """Of the smaller class."""
    others: int
    """Groups of the other class."""
    sizes: Sizes
    auroc: float
    together: bool = False
    """Whether groups hold both classes."""
    any_class: bool = False
    """Whether each group's class is drawn, so that the classes' groups vary in number."""

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw a test part; the network's probabilities are right on average."""
        counts = self.others, self.groups
        if self.any_class:
            of_class = rng.binomial(sum(counts), self.groups / sum(counts))
            counts = sum(counts) - of_class, of_class
        sides = [grouped(rng, count, self.sizes) for count in counts]
        first = 0 if self.together else counts[0]
        groups = np.concatenate([sides[0], first + sides[1]])
        true = np.repeat([0, 1], [len(side) for side in sides])
        apart = np.sqrt(2) * ndtri(self.auroc)
        noise = np.sqrt(LIKENESS) * rng.normal(size=groups.max() + 1)[groups]
        noise += np.sqrt(1 - LIKENESS) * rng.normal(size=len(groups))
        odds = np.log(self.groups / self.others) + apart * (apart * (true - 0.5) + noise)
        probabilities = np.stack([expit(-odds), expit(odds)], axis=1)
        predicted = probabilities.argmax(axis=1)
        return Sample(("a", "b"), true, predicted, probabilities, groups)

    def truth(self) -> dict[str, float]:
        """Give the true scores whose intervals are drawn: those of a very large test part."""
        return drawn_scores(self.large())

    def benefits(self) -> dict[str, float]:
        """Give the true net benefits: those of a very large test part."""
        many = self.large()
        hits, shares = many.true == 1, many.probabilities[:, 1]
        return {
            f"{each:g}": float(
                (hits & (shares >= each)).mean()
                - each / (1 - each) * (~hits & (shares >= each)).mean()
            )
            for each in THRESHOLDS
        }

    def predictive(self) -> dict[str, float]:
        """Give the true predictive values and likelihood ratios: those of a very large part."""
        many = self.large()
        found = predictive_values(many, many.predicted == 1, many.true == 1, RARE)
        named = {name: float(found[name]) for name in PREDICTIVE}
        return named | {"rare": float(found["at_prevalence"]["ppv"])}

    def large(self) -> Sample:
        """Draw a very large test part of the kind."""
        times = 20_000 // self.groups
        many = Ranks(times * self.groups, times * self.others, (8, 8), self.auroc)
        return many.sample(np.random.default_rng(0))


@dataclass(frozen=True)
class Means:
    """Hold what test parts of several equally large classes are like, each group of one class."""

    classes: int
    groups: int
    sizes: Sizes
    apart: float
    """How far the score of its class lies above the others, in standard deviations."""

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw a test part."""
        groups = grouped(rng, self.groups, self.sizes)
        true = groups % self.classes
        shape = (len(groups), self.classes)
        scores = self.apart * np.eye(self.classes)[true]
        scores += np.sqrt(LIKENESS) * rng.normal(size=(self.groups, self.classes))[groups]
        scores += np.sqrt(1 - LIKENESS) * rng.normal(size=shape)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        names = tuple(f"c{place}" for place in range(self.classes))
        return Sample(names, true, shares.argmax(axis=1), shares, groups)

    def truth(self) -> dict[str, float]:
        """Give the mean AUROC of a very large test part."""
        many = Means(self.classes, 500 * self.classes**2, (8, 8), self.apart)
        sample = many.sample(np.random.default_rng(0))
        return {"auroc": mean_area(sample), "slope": sample.calibration_lines[0].slope}


def grouped(rng: np.random.Generator, groups: int, sizes: Sizes) -> IntArray:
    """Draw the group of each image, (N,)."""
    return np.repeat(np.arange(groups), rng.integers(sizes[0], sizes[1] + 1, groups))


def shares(rng: np.random.Generator, means: Sequence[float], groups: int) -> FloatArray:
    """Draw each group's share of right answers in each class, (G, C)."""
    spread = (1 - LIKENESS) / LIKENESS * np.array(means)
    rest = (1 - LIKENESS) / LIKENESS - spread
    return rng.beta(spread, rest, (groups, len(means)))


def drawn_scores(sample: Sample) -> dict[str, float]:
    """Compute the scores whose intervals are drawn, of one sample."""
    return {name: float(found[0]) for name, found in _drawn(sample)().items()}


def drawn_intervals(sample: Sample) -> dict[str, Interval]:
    """Give their intervals, as `evaluate` does."""
    values, draws = drawn_scores(sample), resample(sample, _drawn(sample))
    counts = {"average_precision": sample.groups_of(sample.true == 1)}
    return {
        name: interval(draws[name], values[name], counts.get(name, sample.group_count))
        for name in DRAWN
    }


def counted_intervals(sample: Sample) -> dict[str, Interval]:
    """Give the intervals of scores that follow from the answers."""
    found = summarise(sample, select(COUNTED), {})
    return {name: found[f"{name}_ci95"] or (np.nan, np.nan) for name in COUNTED}


def ranked_interval(sample: Sample) -> dict[str, Interval]:
    """Give the interval of the AUROC."""
    area = float(_areas(sample)[1])
    return {"auroc": intervals.of_auroc(sample, 1, area)}


def mean_interval(sample: Sample) -> dict[str, Interval]:
    """Give the interval of the mean AUROC."""
    return {"auroc": intervals.of_mean_auroc(sample, mean_area(sample))}


def mean_area(sample: Sample) -> float:
    """Compute the mean AUROC of the classes, all of which are there."""
    return float(_areas(sample).mean())


def recalibrated_intervals(sample: Sample) -> dict[str, Interval]:
    """Give the intervals of slope and intercept, and those of the calibration curve."""
    hits, counted = sample.true == 1, np.ones(len(sample))
    found = fit_line(log_odds(sample.probabilities, 1), hits, sample.groups, counted)
    curve = calibration_curve(sample, "b", None)
    return {
        "slope": found.slope_interval,
        "intercept": found.intercept_interval,
        **{f"{place:g}": _band_at(curve, place) for place in PROBABILITIES},
    }


def class_slope_interval(sample: Sample) -> dict[str, Interval]:
    """Give the interval of the slope of the first class."""
    hits, counted = sample.true == 0, np.ones(len(sample))
    found = fit_line(log_odds(sample.probabilities, 0), hits, sample.groups, counted)
    return {"slope": found.slope_interval}


def benefit_intervals(sample: Sample) -> dict[str, Interval]:
    """Give the intervals of the net benefit."""
    hits, shares = sample.true == 1, sample.probabilities[:, 1]
    return {
        f"{each:g}": benefit_interval(sample, shares >= each, hits, each / (1 - each))
        for each in THRESHOLDS
    }


def predictive_intervals(sample: Sample) -> dict[str, Interval]:
    """Give the intervals of predictive values and likelihood ratios of the second class."""
    found = predictive_values(sample, sample.predicted == 1, sample.true == 1, RARE)
    flat = found | {"rare": found["at_prevalence"]["ppv"]}
    flat["rare_ci95"] = found["at_prevalence"]["ppv_ci95"]
    return {name: flat[f"{name}_ci95"] or (np.nan, np.nan) for name in (*PREDICTIVE, "rare")}


def _band_at(curve: pd.DataFrame, place: float) -> Interval:
    """Read the band off at a probability; NaN where the curve does not reach it."""
    if curve.empty:
        return UNDEFINED
    places = curve["probability"].to_numpy()
    low, high = (
        float(np.interp(place, places, curve[name], left=np.nan, right=np.nan))
        for name in ("low", "high")
    )
    return low, high


def covered(
    part: Answers | Ranks | Means,
    give: Callable[[Sample], dict[str, Interval]],
    truth: dict[str, float],
    runs: int,
) -> dict[str, float]:
    """Give the share of drawn test parts whose interval holds the truth, of those that have one."""
    rng = np.random.default_rng(part.groups)
    found = [give(part.sample(rng)) for _ in range(runs)]
    bounds = {name: np.array([each[name] for each in found]) for name in found[0]}
    return {name: _share_that_holds(pairs, truth[name]) for name, pairs in bounds.items()}


def share_covered(groups: int, sizes: Sizes, share: float, runs: int) -> float:
    """Give the share of test parts whose interval holds the true share of right answers."""
    rng = np.random.default_rng(groups)
    counts = rng.integers(sizes[0], sizes[1] + 1, (runs, groups))
    right = rng.binomial(counts, shares(rng, [share] * groups, runs))
    images = counts.sum(axis=1)
    value = right.sum(axis=1) / images
    moved = (right - value[:, np.newaxis] * counts) / images[:, np.newaxis]
    variance = groups / (groups - 1) * (moved**2).sum(axis=1)
    most = np.asarray(groups)
    number = effective_number(value, variance, images, most - 1, most)
    return _share_that_holds(np.stack(wilson(value, number), axis=1), share)


def _share_that_holds(bounds: FloatArray, truth: float) -> float:
    known = bounds[~np.isnan(bounds[:, 0])]
    return float(((known[:, 0] <= truth + 1e-12) & (truth <= known[:, 1] + 1e-12)).mean())


def _drawn(sample: Sample) -> Callable[..., dict[str, FloatArray]]:
    def compute(weights: FloatArray | None = None) -> dict[str, FloatArray]:
        counted = weigh(sample, weights)
        precision = OF_CLASS["average_precision"].compute(counted)[:, 1]
        found = {metric.name: metric.compute(counted) for metric in select(DRAWN)}
        return {"average_precision": precision} | found

    return compute


def _areas(sample: Sample) -> FloatArray:
    """Compute the AUROC of each class, (C,)."""
    areas: FloatArray = OF_CLASS["auroc"].compute(weigh(sample))[0]
    return areas


# ---------------------------------------------------------------- the tables


@dataclass(frozen=True)
class Table:
    """Hold a table of the page: its rows are simulated, each with its labels."""

    title: str
    labels: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[tuple[Sequence[str], Callable[[int], list[float]]]]
    thinned: int = 1
    """How many times fewer test parts are drawn than for the first table."""


def share_row(groups: int, sizes: Sizes, runs: int) -> list[float]:
    """Simulate a row of the table of shares."""
    return [share_covered(groups, sizes, share, runs) for share in SHARES]


def counted_row(part: Answers, runs: int) -> list[float]:
    """Simulate a row of the table of means over the classes."""
    return list(covered(part, counted_intervals, part.truth(), runs).values())


def ranked_row(parts: Sequence[Ranks], runs: int) -> list[float]:
    """Simulate a row of the table of AUROCs."""
    return [covered(part, ranked_interval, {"auroc": part.auroc}, runs)["auroc"] for part in parts]


def mean_row(parts: Sequence[Means], runs: int) -> list[float]:
    """Simulate a row of the table of mean AUROCs."""
    return [covered(part, mean_interval, part.truth(), runs)["auroc"] for part in parts]


def drawn_row(part: Ranks, runs: int) -> list[float]:
    """Simulate a row of the table of the bootstrap."""
    return list(covered(part, drawn_intervals, part.truth(), runs).values())


def recalibrated_row(part: Ranks, runs: int) -> list[float]:
    """Simulate a row of the table of slope, intercept and calibration curve."""
    truth = {"slope": 1.0, "intercept": 0.0} | {f"{each:g}": each for each in PROBABILITIES}
    return list(covered(part, recalibrated_intervals, truth, runs).values())


def class_slope_row(parts: Sequence[Means], runs: int) -> list[float]:
    """Simulate a row of the table of the slope of one of several classes."""
    return [covered(part, class_slope_interval, part.truth(), runs)["slope"] for part in parts]


def benefit_row(part: Ranks, runs: int) -> list[float]:
    """Simulate a row of the table of net benefits."""
    return list(covered(part, benefit_intervals, part.benefits(), runs).values())


def predictive_row(part: Ranks, runs: int) -> list[float]:
    """Simulate a row of the table of predictive values and likelihood ratios."""
    return list(covered(part, predictive_intervals, part.predictive(), runs).values())


def tables() -> list[Table]:
    """List the tables of the page."""
    return [
        share_table(),
        counted_table(),
        ranked_table(),
        mean_table(),
        drawn_table(),
        recalibrated_table(),
        class_slope_table(),
        benefit_table(),
        predictive_table(),
    ]


def share_table() -> Table:
    """Lay out the table of shares, by groups and sizes."""
    return Table(
        "Shares: accuracy, recall, precision, specificity",
        ("groups", "images a group"),
        [f"{share:g}" for share in SHARES],
        [
            ((str(groups), words(sizes)), partial(share_row, groups, sizes))
            for groups in (23, 60, 161)
            for sizes in SIZES
        ],
    )


def counted_table() -> Table:
    """Lay out the table of scores over the classes."""
    parts = [
        Answers(groups, recalls, sizes, holds)
        for groups, recalls in (
            (20, (0.8, 0.8)),
            (20, (0.95, 0.95)),
            (60, (0.9, 0.3)),
            (20, (0.9, 0.7, 0.5)),
            (60, (0.9, 0.7, 0.5)),
            (60, (0.95,) * 10),
        )
        for sizes in SIZES[:2]
        for holds in ("one class", "any class", "one class, 5 the first")
    ]
    return Table(
        "Scores over the classes",
        ("groups", "true recalls", "images a group", "a group holds"),
        [name.replace("_", " ") for name in COUNTED],
        [
            (
                (str(part.groups), recalls_of(part), words(part.sizes), part.holds),
                partial(counted_row, part),
            )
            for part in parts
        ],
        thinned=8,
    )


def ranked_table() -> Table:
    """Lay out the table of the AUROC of two classes."""
    parts = [
        (groups, others, sizes, together)
        for groups in (8, 20, 60)
        for others, together in ((groups, False), (3 * groups, False), (groups, True))
        for sizes in SIZES[:2]
    ]
    return Table(
        "AUROC of two classes",
        ("groups of the smaller class", "of the other", "images a group", "a group holds"),
        [f"{area:g}" for area in AUROCS],
        [
            (
                (str(groups), str(others), words(sizes), "both classes" if both else "one class"),
                partial(ranked_row, [Ranks(groups, others, sizes, area, both) for area in AUROCS]),
            )
            for groups, others, sizes, both in parts
        ],
        thinned=8,
    )


def mean_table() -> Table:
    """Lay out the table of the mean AUROC of more classes."""
    return Table(
        "Mean AUROC of more classes",
        ("classes", "groups", "images a group"),
        [f"{apart:g} apart" for apart in APART],
        [
            (
                (str(classes), str(groups), words(sizes)),
                partial(mean_row, [Means(classes, groups, sizes, apart) for apart in APART]),
            )
            for classes, groups in ((3, 15), (3, 60), (10, 60))
            for sizes in SIZES[:2]
        ],
        thinned=8,
    )


def drawn_table() -> Table:
    """Lay out the table of the scores whose intervals are drawn."""
    parts = [
        Ranks(groups, 2 * groups, sizes, area)
        for groups in (8, 20, 60)
        for sizes in SIZES[:2]
        for area in (0.8, 0.95)
    ]
    return Table(
        "Scores whose intervals are drawn",
        OF_RANKS,
        [name.replace("_", " ") for name in DRAWN],
        [
            (
                labels_of(part),
                partial(drawn_row, part),
            )
            for part in parts
        ],
        thinned=16,
    )


GROUPS = ((10, 10), (30, 30), (15, 45), (80, 80), (40, 120))
"""How many groups the two classes have on average: 20, 60 and 160 in all."""
OF_RANKS = ("groups of the smaller class", "of the other", "images a group", "true AUROC")


def ranked_parts() -> list[Ranks]:
    """List test parts of two classes for what is made from probabilities."""
    return [
        Ranks(groups, others, sizes, area, any_class=True)
        for groups, others in GROUPS
        for sizes in SIZES
        for area in (0.8, 0.95)
    ]


def recalibrated_table() -> Table:
    """Lay out the table of slope, intercept and calibration curve."""
    return Table(
        "Calibration slope, intercept and curve of two classes",
        OF_RANKS,
        [*RECALIBRATED, *(f"curve at {place:g}" for place in PROBABILITIES)],
        [(labels_of(part), partial(recalibrated_row, part)) for part in ranked_parts()],
        thinned=8,
    )


def class_slope_table() -> Table:
    """Lay out the table of the slope of one of several classes against the rest."""
    return Table(
        "Calibration slope of one of several classes",
        ("classes", "groups", "images a group"),
        [f"{apart:g} apart" for apart in APART[:2]],
        [
            (
                (str(classes), str(groups), words(sizes)),
                partial(
                    class_slope_row, [Means(classes, groups, sizes, each) for each in APART[:2]]
                ),
            )
            for classes, groups in ((3, 20), (3, 60), (10, 60), (10, 160))
            for sizes in SIZES
        ],
        thinned=8,
    )


def benefit_table() -> Table:
    """Lay out the table of net benefits."""
    return Table(
        "Net benefit",
        OF_RANKS,
        [f"at {each:g}" for each in THRESHOLDS],
        [(labels_of(part), partial(benefit_row, part)) for part in ranked_parts()],
        thinned=8,
    )


def predictive_table() -> Table:
    """Lay out the table of predictive values and likelihood ratios."""
    return Table(
        "Predictive values and likelihood ratios",
        OF_RANKS,
        ["PPV", "NPV", "LR+", "LR-", f"PPV at a prevalence of {100 * RARE:g} %"],
        [(labels_of(part), partial(predictive_row, part)) for part in ranked_parts()],
        thinned=8,
    )


def labels_of(part: Ranks) -> tuple[str, ...]:
    """Label a test part of two classes."""
    return str(part.groups), str(part.others), words(part.sizes), f"{part.auroc:g}"


def words(sizes: Sizes) -> str:
    """Write how many images a group holds."""
    return str(sizes[0]) if sizes[0] == sizes[1] else f"{sizes[0]} to {sizes[1]}"


def recalls_of(part: Answers) -> str:
    """Write the true recalls of the classes."""
    if len(part.recalls) > 3:
        return f"{len(part.recalls)} x {part.recalls[0]:g}"
    return ", ".join(f"{recall:g}" for recall in part.recalls)


def render(table: Table, found: Sequence[list[float]], runs: int) -> str:
    """Write a table in Markdown."""
    head = [*table.labels, *table.columns]
    lines = [f"### {table.title}", "", f"{runs:,} test sets a row.", ""]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (labels, _), row in zip(table.rows, found, strict=True):
        cells = ["-" if np.isnan(share) else f"{share:.3f}" for share in row]
        lines.append(f"| {' | '.join([*labels, *cells])} |")
    return "\n".join(lines)


def simulate(tables: Sequence[Table], runs: int) -> str:
    """Simulate tables, each row in a process of its own; the seeds make them reproducible."""
    written = []
    with ProcessPoolExecutor() as pool:
        jobs = [
            (
                table,
                runs // table.thinned,
                [pool.submit(row, runs // table.thinned) for _, row in table.rows],
            )
            for table in tables
        ]
        for table, count, rows in jobs:
            written.append(render(table, [row.result() for row in rows], count))
    return "\n\n".join(written)


def write_page(about: str | None, page: Path, tables: Sequence[Table], runs: int) -> None:
    """Simulate tables, print them, and write them into a page unless it is a quick run."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, and nothing written")
    quick = parser.parse_args().quick
    found = simulate(tables, runs // 10 if quick else runs)
    print(found)
    if not quick:
        before, _, rest = page.read_text().partition(BEGIN)
        date = f"Simulated on {datetime.now(UTC):%Y-%m-%d}."
        page.write_text(f"{before}{BEGIN}\n\n{date}\n\n{found}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    write_page(__doc__, PAGE, tables(), RUNS)
