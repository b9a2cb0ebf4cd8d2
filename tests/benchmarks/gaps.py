"""Simulate how often the interval of a widest gap holds the truth, and write docs/subgroups.md.

Test parts are drawn whose true figures are known in each subgroup. How sure a network is of an
image is normally distributed, and half of its variance is that of the group, whatever subgroup the
image is in. Both classes are equally common, and each group holds one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri

from reports.evaluation.subgroups import score_subgroups
from tests.benchmarks.coverage import BEGIN, END, LIKENESS, Sizes, Table, grouped, render, words

PAGE = Path(__file__).resolve().parents[2] / "docs" / "subgroups.md"
RUNS = 1000
FIGURES = ("accuracy", "balanced_accuracy", "auroc", "recall")
SHARES = ((0.8, 0.8), (0.9, 0.7), (0.8, 0.8, 0.8), (0.9, 0.8, 0.7), (0.9, 0.9, 0.9, 0.6))


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
        for sizes, crossing in (((1, 1), False), ((1, 3), False), ((1, 3), True), ((8, 8), False))
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


def simulate(runs: int) -> str:
    """Simulate the table, each row in a process of its own; the seeds make it reproducible."""
    table = gap_table()
    with ProcessPoolExecutor() as pool:
        rows: Sequence[list[float]] = [
            job.result() for job in [pool.submit(row, runs) for _, row in table.rows]
        ]
    return render(table, rows, runs)


def main() -> None:
    """Simulate, print the table, and write it into the page unless it is a quick run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, and nothing written")
    quick = parser.parse_args().quick
    found = simulate(RUNS // 10 if quick else RUNS)
    print(found)
    if not quick:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        date = f"Simulated on {datetime.now(UTC):%Y-%m-%d}."
        PAGE.write_text(f"{before}{BEGIN}\n\n{date}\n\n{found}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
