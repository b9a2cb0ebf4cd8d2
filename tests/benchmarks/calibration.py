"""Simulate what a temperature or a threshold from few images is worth, and write it to the docs.

A network of two classes states probabilities that are too extreme by a known factor, or right. A
temperature is fitted on some groups of one image each. The gain is by how much it lowers the log
loss on 20,000 other images, in the mean over 300 simulations. Youden's threshold is chosen on some
images, and its J (sensitivity + specificity - 1) is counted there and on the other images.

$ python -m tests.benchmarks.calibration    # writes docs/calibration.md, in about a minute
"""

from datetime import date
from pathlib import Path

import numpy as np
from scipy.special import expit

from reports.evaluation.calibration import (
    FEWEST_GROUPS,
    calibrated,
    choose_threshold,
    fit_temperature,
)
from reports.evaluation.sample import Sample
from reports.evaluation.settings import HALF, EvaluationSettings

PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"
GROUPS = (20, 31, 40, 60, 80, 120, 200)
FACTORS = (1.0, 1.3, 1.5, 2.0)
SIMULATIONS = 300
OUTSIDE = 20_000
BY_YOUDEN = EvaluationSettings(threshold="youden")


def images(number: int, factor: float, seed: int) -> Sample:
    """Draw images whose log-odds are stated `factor` times too far from 0."""
    rng = np.random.default_rng(seed)
    odds = 4 * rng.normal(size=number) / np.sqrt(2)
    true = (rng.random(number) < expit(odds)).astype(np.int64)
    shares = np.stack([expit(-factor * odds), expit(factor * odds)], axis=1)
    return Sample(("a", "b"), true, shares.argmax(axis=1), shares, np.arange(number))


def log_loss(sample: Sample, temperature: float) -> float:
    """Give the mean log loss in nats at a temperature."""
    shares = calibrated(sample.probabilities, temperature)
    return -float(np.log(shares[np.arange(len(sample)), sample.true]).mean())


def gain(groups: int, factor: float, simulations: int = SIMULATIONS) -> float:
    """Give by how much a fitted temperature betters the log loss outside, in the mean, in nats."""
    outside = images(OUTSIDE, factor, seed=0)
    fitted = [
        fit_temperature(images(groups, factor, seed), fewest=1).temperature
        for seed in range(1, simulations + 1)
    ]
    losses = [log_loss(outside, temperature) for temperature in fitted]
    return log_loss(outside, 1.0) - float(np.mean(losses))


def youden(images_chosen_on: int) -> tuple[float, float, float]:
    """Give J where Youden's threshold was chosen, J outside, and that of 0.5 outside: means."""
    outside = images(OUTSIDE, 1.0, seed=0)
    found = []
    for seed in range(1, SIMULATIONS + 1):
        chosen_on = images(images_chosen_on, 1.0, seed)
        shares, positive = chosen_on.probabilities[:, 1], chosen_on.true == 1
        threshold = choose_threshold(shares, positive, BY_YOUDEN).threshold or HALF
        found.append((gain_of(chosen_on, threshold), gain_of(outside, threshold)))
    inside, beyond = np.mean(found, axis=0)
    return float(inside), float(beyond), gain_of(outside, HALF)


def gain_of(sample: Sample, threshold: float) -> float:
    """Give J, sensitivity + specificity - 1, of a threshold."""
    flagged, positive = sample.probabilities[:, 1] >= threshold, sample.true == 1
    return float(flagged[positive].mean() - flagged[~positive].mean())


def page() -> str:
    """Write the page."""
    head = [f"{factor:g} times too large" if factor > 1 else "right" for factor in FACTORS]
    lines = [f"| groups | {' | '.join(head)} |", "|---" * (len(FACTORS) + 1) + "|"]
    for groups in GROUPS:
        cells = [f"{1000 * gain(groups, factor):+.1f}" for factor in FACTORS]
        lines.append(f"| {groups} | {' | '.join(cells)} |")
    chosen = [
        "| images | J where it was chosen | J outside | J of 0.5 outside |",
        "|---|---|---|---|",
    ]
    chosen += [f"| {n} | {' | '.join(f'{j:.2f}' for j in youden(n))} |" for n in GROUPS]
    return TEXT.format(
        table="\n".join(lines),
        chosen="\n".join(chosen),
        fewest=FEWEST_GROUPS,
        simulations=SIMULATIONS,
        today=date.today(),
    )


TEXT = """# Temperature and threshold

## The temperature

A temperature corrects a network whose probabilities are too extreme. The program fits it on the
validation set. With few groups a fitted temperature does harm, because it follows chance. So the
program fits it only if there are at least {fewest} groups. With fewer groups the temperature is 1.
The terminal, the report and `calibration.json` say so.

The table shows how much a fitted temperature lowers the log loss on other images, in thousandths of
a nat. A number above 0 is a gain, and a number below 0 is a loss. In each column the network's
log-odds are right, or too large by a factor. Each cell is the mean of {simulations} simulations of
two classes with one image per group.

{table}

## The threshold

The threshold of the positive class is 0.5 unless you ask for another one:

* `--sensitivity 0.9` takes the highest threshold that finds 90 % of the positive class in the
  validation set.
* `--threshold youden` takes the threshold with the greatest J on the validation set. J is
  sensitivity + specificity - 1.
* `--threshold 0.3` takes that number.

A threshold that was chosen on few images looks better on these images than it is. The table shows
Youden's threshold:

{chosen}

*Made by `python -m tests.benchmarks.calibration` on {today}.*
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE}.")
