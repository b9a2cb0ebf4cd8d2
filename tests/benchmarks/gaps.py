"""Simulate gaps between subgroups, and cues that tell nothing, and write docs/subgroups.md.

Test parts are drawn whose true figures are known in each subgroup. How sure a network is of an
image is normally distributed, and half of its variance is that of the group, whatever subgroup the
image is in. Both classes are equally common, and each group holds one. The tables say how often
the intervals hold the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri

from reports.evaluation.shortcuts import CUES, above_chance, find_shortcuts
from reports.evaluation.subgroups import score_subgroups
from tests.benchmarks.coverage import LIKENESS, Sizes, Table, grouped, words, write_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "subgroups.md"
RUNS = 160
FIGURES = ("accuracy", "balanced_accuracy", "auroc", "recall")
SINGLE = [column for columns in CUES.values() for column in columns]
SHARES = ((0.8, 0.8), (0.9, 0.7), (0.8, 0.8, 0.8), (0.9, 0.8, 0.7))


@dataclass(frozen=True)
class Part:
    """Hold what test parts are like."""

    groups: int
    rights: tuple[float, ...]
    """The true share of right answers of each subgroup."""
    sizes: Sizes
    crossing: bool = False
    """Whether the images of a group are in several subgroups."""

    def draw(self, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Draw predictions and attributes."""
        groups, count = grouped(rng, self.groups, self.sizes), len(self.rights)
        inside = rng.integers(count, size=len(groups)) if self.crossing else groups % count
        true = groups // count % 2
        sure = ndtri(np.array(self.rights))[inside]
        sure += np.sqrt(LIKENESS) * rng.normal(size=self.groups)[groups]
        sure += np.sqrt(1 - LIKENESS) * rng.normal(size=len(groups))
        of_b = expit(np.where(true == 1, sure, -sure))
        table = pd.DataFrame({"path": [str(n) for n in range(len(groups))], "p_b": of_b})
        table = table.assign(p_a=1 - of_b, label=np.array(["a", "b"])[true], split="test")
        table["predicted"], table["status"] = np.where(of_b > 0.5, "b", "a"), "ok"
        table["group"] = [f"g{number}" for number in groups]
        table = table[["path", "label", "group", "split", "predicted", "status", "p_a", "p_b"]]
        stated = [f"s{number}" for number in inside]
        return table, pd.DataFrame({"path": table["path"], "attribute": "x", "subgroup": stated})

    def truth(self) -> dict[str, float]:
        """Give the true gap of each figure."""
        rights = np.array(self.rights)
        return dict.fromkeys(FIGURES, float(np.ptp(rights))) | {
            "auroc": float(np.ptp(ndtr(np.sqrt(2) * ndtri(rights))))
        }


def gap_row(part: Part, runs: int) -> list[float]:
    """Give the share of test parts whose interval holds the true gap, of each figure."""
    rng, truth = np.random.default_rng(part.groups), part.truth()
    held: dict[str, list[bool]] = {name: [] for name in FIGURES}
    for _ in range(runs):
        gaps = score_subgroups(*part.draw(rng)).gaps
        rows = gaps[gaps["note"] == ""].drop_duplicates("figure").to_dict("records")
        for row in rows:
            name, low, high = row["figure"], row["low"] - 1e-12, row["high"] + 1e-12
            held[name].append(low <= truth[name] <= high)
    return [float(np.mean(each)) if each else np.nan for each in held.values()]


def gap_table() -> Table:
    """Lay out the table of gaps."""
    parts = [
        Part(groups, rights, sizes, crossing)
        for groups in (60, 160)
        for rights in SHARES
        for sizes, crossing in (((1, 3), False), ((1, 3), True), ((8, 8), False))
    ]
    return Table(
        "The widest gap",
        ("groups", "true shares of right answers", "images a group", "a group is in"),
        [name.replace("_", " ") for name in FIGURES],
        [
            (
                (
                    str(part.groups), ", ".join(f"{share:g}" for share in part.rights),
                    words(part.sizes), "any subgroup" if part.crossing else "one subgroup",
                ),
                partial(gap_row, part),
            )
            for part in parts
        ],
    )  # fmt: skip


def draw_cues(rng: np.random.Generator, groups: int, classes: int, sizes: Sizes) -> pd.DataFrame:
    """Draw cues that say nothing of the class, in five folds of whole groups."""
    of, count = grouped(rng, groups, sizes), len(SINGLE) - 1
    table = pd.DataFrame({"path": np.arange(len(of)).astype(str), "fold": of // classes % 5 + 1})
    table["label"] = [f"c{number % classes}" for number in of]
    table["group"] = [f"g{number}" for number in of]
    values = rng.normal(size=(groups, count))[of] + rng.normal(size=(len(of), count))
    table["format"] = rng.choice(["JPEG", "PNG"], len(of))
    return table.assign(**dict(zip([c for c in SINGLE if c != "format"], values.T, strict=True)))


def cue_row(groups: int, classes: int, sizes: Sizes, runs: int) -> list[float]:
    """Give how often the interval of a cue covers chance, and how often a set raises an alarm."""
    rng = np.random.default_rng(groups)
    found = [find_shortcuts(draw_cues(rng, groups, classes, sizes)) for _ in range(runs)]
    held = [((x["auroc_low"] <= 0.5) & (x["auroc_high"] >= 0.5)).to_numpy() for x in found]
    single, together = (np.array(held)[:, part].mean() for part in (slice(0, -1), slice(-1, None)))
    alarms = np.mean([len(above_chance(each)) > 0 for each in found])
    return [float(single), float(together), float(alarms)]


def cue_table() -> Table:
    """Lay out the table of cues that tell nothing."""
    return Table(
        "Cues that tell nothing",
        ("groups", "classes", "images a group"),
        ["a cue alone covers chance", "all together cover it", "sets with any above chance"],
        [
            ((str(groups), str(classes), words(sizes)), partial(cue_row, groups, classes, sizes))
            for groups, classes in ((60, 2), (160, 2), (160, 9))
            for sizes in ((1, 1), (1, 3))
        ],
        thinned=4,
    )


if __name__ == "__main__":
    write_page(__doc__, PAGE, [gap_table(), cue_table()], RUNS)
