"""Simulate retrainings: how often luck promotes a model that is no better, and what is left.

$ .venv/bin/python -m tests.benchmarks.decisions

writes docs/decisions.md, in less than four minutes on two cores. A champion and its challengers
answer the same test part. Images of a group are hard or easy for all models together, and a group
for one model, so that answers agree as those of networks trained alike do.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from reports.evaluation.decision import allowed_luck
from reports.evaluation.metrics import select
from reports.evaluation.paired import difference, luck
from reports.evaluation.sample import Sample

PAGE = Path(__file__).parents[2] / "docs" / "decisions.md"
(METRIC,) = select(["balanced_accuracy"])
ACCURACY = 0.8
CHALLENGERS = 10
SERIES, TRIES = 1000, 400
GROUPS, GAINS, USES = (20, 60, 150), (0.05, 0.10, 0.15), (1, 5, 10)
SHARED = (0.25, 0.30)
"""How much of what makes an image hard is its group's, and its own, for all models."""
OWN = (0.20, 0.25)
"""The same for each model by itself."""
NEAR = 0.15
"""Where luck gives a lead more often than this, no interval of 95 % lies above 0."""


TEXT = """# When a new model becomes champion

A retraining lets champion and challenger answer the same test images. It promotes the challenger
only if both conditions hold:

1. The whole 95 % interval of the difference is above `--margin`. The interval comes from a paired
   bootstrap over groups.
2. Luck alone rarely gives such a lead. If both models were equally good, chance would decide which
   model gave which answers. So the program swaps the answers of the two models at random, group by
   group, many times. `luck` is the share of swaps with at least this lead.

## Decisions are counted

Of ten challengers that are no better than the champion, one leads by luck. So the program counts
the decisions on the same test groups. In decision k, luck may explain a lead in at most
5 % / (k (k + 1)) of cases. That is {levels} in decisions 1, 2, 3, 5 and 10. All decisions
together add up to at most 5 %, however many there are. After 99 decisions nothing can be promoted
on the same groups any more.

The program recognises a group by the bytes of its images. So renaming changes nothing. An earlier
decision counts by the share of today's test groups that it used. With a completely new test set the
count starts again. With a few new groups among many old ones it goes on. `decision.json` holds the
count (`use`), `luck` and `luck_allowed`. The registry's `version.json` holds `use`.

## Equally good challengers

The simulation lets ten challengers follow each other. Each is {right} right, as the champion is.
There are {series} series. The table shows how often any of the ten is promoted, and how often any
would be promoted by the interval alone.

{luck}

## Better challengers

The table shows how often a challenger is promoted that is truly better than the champion's {right}.
Each cell is {tries} tries. The more often a test set has served, the larger the lead must be. New
groups in the test set help. More attempts do not help.

{power}

The simulated groups hold one to three images of two classes. Balanced accuracy is the score.

*Made by `.venv/bin/python -m tests.benchmarks.decisions`.*
"""


class Promoted(NamedTuple):
    """Tell whether a challenger is promoted: as before uses counted, and as it is now."""

    uncounted: bool
    counted: bool


def answers(groups: int, accuracies: list[float], seed: int) -> list[Sample]:
    """Draw a test part of two classes, and what models of these accuracies answer."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), random.integers(1, 4, groups))
    true, models = group % 2, len(accuracies)
    hard = np.sqrt(SHARED[0]) * random.standard_normal(groups)[group]
    hard = hard + np.sqrt(SHARED[1]) * random.standard_normal(len(group))
    own = np.sqrt(OWN[0]) * random.standard_normal((models, groups))[:, group]
    own = own + np.sqrt(OWN[1]) * random.standard_normal((models, len(group)))
    bounds = np.array([NormalDist().inv_cdf(share) for share in accuracies])[:, np.newaxis]
    given = np.where(hard + own < bounds, true, 1 - true)  # (models, images)
    shares = np.full((len(group), 2), 0.5)
    return [Sample(("a", "b"), true, predicted, shares, group) for predicted in given]


def judge(champion: Sample, challenger: Sample, uses: Sequence[int]) -> list[Promoted]:
    """Judge as `reports.evaluation.decision.decide` does with margin 0, in each of these uses."""
    if luck(champion, challenger, METRIC, allowed=NEAR) > NEAR:  # saves the draws
        return [Promoted(False, False)] * len(uses)
    uncounted = difference(champion, challenger, METRIC).low > 0
    levels = [allowed_luck(use) for use in uses]
    lucky = [luck(champion, challenger, METRIC, allowed=level) for level in levels]
    return [
        Promoted(uncounted, uncounted and found <= level)
        for found, level in zip(lucky, levels, strict=True)
    ]


def any_promoted(groups: int, seed: int) -> Promoted:
    """Let equally good challengers follow each other; tell whether any is promoted."""
    champion, *challengers = answers(groups, [ACCURACY] * (CHALLENGERS + 1), seed)
    judged = [judge(champion, one, [use])[0] for use, one in enumerate(challengers, start=1)]
    return Promoted(any(one.uncounted for one in judged), any(one.counted for one in judged))


def better_promoted(groups: int, gain: float, seed: int) -> list[bool]:
    """Tell whether a challenger that is better is promoted, in each of USES."""
    champion, challenger = answers(groups, [ACCURACY, ACCURACY + gain], seed)
    return [one.counted for one in judge(champion, challenger, USES)]


def luck_table(pool: ProcessPoolExecutor) -> list[str]:
    """Give the rows on equally good challengers."""
    lines = [
        "| test groups | any of ten promoted | without counting |",
        "|---|---|---|",
    ]
    for groups in GROUPS:
        found = list(pool.map(any_promoted, [groups] * SERIES, range(SERIES), chunksize=20))
        counted, uncounted = (
            100 * np.mean([getattr(one, name) for one in found])
            for name in ("counted", "uncounted")
        )
        lines.append(f"| {groups} | {counted:.1f} % | {uncounted:.1f} % |")
    return lines


def power_table(pool: ProcessPoolExecutor) -> list[str]:
    """Give the rows on challengers that are better."""
    heads = [f"decision {use}" for use in USES]
    lines = [f"| test groups | points better | {' | '.join(heads)} |", "|---" * 5 + "|"]
    for groups, gain in product(GROUPS, GAINS):
        arguments = [groups] * TRIES, [gain] * TRIES, range(TRIES)
        found = np.mean(list(pool.map(better_promoted, *arguments, chunksize=20)), axis=0)
        shares = " | ".join(f"{100 * share:.0f} %" for share in found)
        lines.append(f"| {groups} | {100 * gain:.0f} | {shares} |")
    return lines


def page(luck: list[str], power: list[str]) -> str:
    """Write the page."""
    return TEXT.format(
        levels=", ".join(f"{100 * allowed_luck(use):.2g} %" for use in (1, 2, 3, 5, 10)),
        right=f"{100 * ACCURACY:.0f} %",
        series=f"{SERIES:,}",
        tries=TRIES,
        luck="\n".join(luck),
        power="\n".join(power),
    )


def main() -> None:
    """Write the page."""
    with ProcessPoolExecutor() as pool:
        text = page(luck_table(pool), power_table(pool))
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
