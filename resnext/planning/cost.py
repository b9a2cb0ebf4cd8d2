"""Estimate how long a run takes, so that a person knows whether to wait for it.

The rates are those of one machine. Another one may be several times as fast or as slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from resnext.contracts.formatting import plural
from resnext.models.views import TURNS
from resnext.planning.facts import Facts, Value

# Measured on two cores: docs/benchmarks.md, "What --preset auto expects".
PIXELS_A_CORE = 20.0 * 260**2
"""Pixels that a frozen network turns into features, a second and core."""
HEADS_OF_AN_IMAGE = 0.03
"""Seconds that the heads of a network learn, by image."""
IMAGES_A_CORE = 2.0
"""Images that all of a network is trained on, a second and core."""
IMAGES_A_GPU = 3_000.0
"""The same on a large GPU, by second: docs/benchmarks.md, "On a GPU"."""
REST = 30.0
"""Seconds for scan, scores, heat maps, figures and report."""
EPOCHS = 30


class Estimate(NamedTuple):
    """Hold how long a run takes, and what that is reckoned from."""

    minutes: int
    reason: str


def estimate(facts: Facts, decided: Mapping[str, Value]) -> Estimate:
    """Estimate the minutes of a run, at least 1, by what was decided for it."""
    folds, repeats = int(decided["folds"] or 0), int(facts.asked.get("repeats") or 1)
    networks = folds * repeats + (facts.asked.get("final") != "ensemble")
    gpu = facts.device == "cuda"
    where = "a large GPU. A smaller one takes longer" if gpu else plural(facts.cores, "core")
    if decided["preset"] == "transfer":
        views = facts.originals * len(TURNS[decided["views"]])  # type: ignore[index]
        side = int(decided["image_size"] or facts.network_size)
        rate = IMAGES_A_GPU if gpu else PIXELS_A_CORE * facts.cores / side**2
        views *= 1 + repeats  # held-out images are seen again, of folds all of them
        seconds = views / rate + networks * HEADS_OF_AN_IMAGE * facts.originals
        work = f"{plural(views, 'view')} of {facts.originals:,} originals"
    else:
        epochs = int(facts.asked.get("epochs") or EPOCHS)
        rate = IMAGES_A_GPU if gpu else IMAGES_A_CORE * facts.cores
        seconds = networks * epochs * facts.images / rate
        work = f"{plural(epochs, 'epoch')} of {facts.images:,} images"
    return Estimate(
        max(1, round((seconds + REST) / 60)),
        f"{plural(networks, 'training')}, {work} at about {rate:,.0f} a second, as on {where}.",
    )
