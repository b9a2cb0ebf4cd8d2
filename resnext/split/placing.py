"""Place whole units, such as the photographs of a patient, into parts of given shares.

No part misses its share by more than the largest unit, and a class with units enough is in every
part. The placing is a function of the units, their order and the seed. It knows neither files nor
names, and it does not say which pictures count: the caller does.

Source: the greedy idea is that of scikit-learn's StratifiedGroupKFold; it departs from it in that
the shares may differ and the largest debt decides, which keeps every part within one group of
its share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd


class Unit(NamedTuple):
    """Hold what is placed as a whole: a name, its photographs, and the classes they are of."""

    name: str
    weight: int
    labels: tuple[str, ...]


def gather_units(photographs: pd.DataFrame) -> list[Unit]:
    """Gather photographs, by their columns unit and label, into units sorted by name."""
    weights = photographs["unit"].value_counts()
    labels = photographs.drop_duplicates(["unit", "label"]).sort_values(["unit", "label"])
    gathered: dict[str, list[str]] = {}
    for name, label in zip(labels["unit"], labels["label"], strict=True):
        gathered.setdefault(name, []).append(label)
    return [Unit(name, int(weights[name]), tuple(found)) for name, found in gathered.items()]


def place(units: list[Unit], shares: dict[str, float], seed: int) -> dict[str, str]:
    """Place units class by class, the smallest class first; return the part of each unit.

    `shares` holds the share of each part, above 0 and in sum 1.

    What one class leaves owed is carried into the next, so that the rounding of many classes
    does not add up. No part misses its share by more than the largest unit, but where a class
    has so few units that having it in every part forces more.
    """
    ledger = _Ledger(shares, Counter(label for unit in units for label in unit.labels))
    shuffled = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
    placed: dict[str, str] = {}
    for stratum in _strata(shuffled):
        total = sum(unit.weight for unit in stratum)
        ledger.expect(total)
        for unit in _giants_first(stratum, total * min(shares.values())):
            placed[unit.name] = ledger.place(unit)
    return placed


@dataclass
class _Ledger:
    """Keep what each part is owed, in photographs, and which classes it has seen."""

    shares: dict[str, float]
    to_come: Counter[str]
    owed: dict[str, float] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)

    def expect(self, photographs: int) -> None:
        """Owe every part its share of photographs that are placed next."""
        for part, share in self.shares.items():
            self.owed[part] = self.owed.get(part, 0.0) + share * photographs

    def place(self, unit: Unit) -> str:
        """Give a unit to the part that is owed most, first in order where two are owed as much."""
        part = max(self._choices(unit), key=lambda name: self.owed[name])
        self.owed[part] -= unit.weight
        self.seen.setdefault(part, set()).update(unit.labels)
        self.to_come.subtract(unit.labels)
        return part

    def _choices(self, unit: Unit) -> list[str]:
        """Return all parts, or those that lack a class of which just enough units are left."""
        urgent: set[str] = set()
        for label in unit.labels:
            lacking = {part for part in self.shares if label not in self.seen.get(part, ())}
            if self.to_come[label] <= len(lacking):
                urgent |= lacking
        return [part for part in self.shares if part in urgent] or list(self.shares)


def _strata(units: Iterable[Unit]) -> list[list[Unit]]:
    """Gather units of the same classes, the fewest photographs first."""
    strata: dict[tuple[str, ...], list[Unit]] = {}
    for unit in units:
        strata.setdefault(unit.labels, []).append(unit)
    return sorted(
        strata.values(), key=lambda found: (sum(u.weight for u in found), found[0].labels)
    )


def _giants_first(units: list[Unit], smallest: float) -> list[Unit]:
    """Put units above the smallest part's size first, largest first: they only fit into train."""
    return sorted(units, key=lambda unit: -unit.weight if unit.weight > smallest else 0)
