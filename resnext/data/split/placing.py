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
from collections.abc import Iterable, Mapping
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


def place(
    units: list[Unit],
    shares: Mapping[str, float],
    seed: int,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Place units class by class, the smallest class first; return the part of each unit.

    `shares` holds the share of each part, in sum 1. `fixed` names the part of units that stay
    where they are; only they can be in a part whose share is 0.

    What one class leaves owed is carried into the next, so that the rounding of many classes
    does not add up. No part misses its share by more than the largest unit, but where a class
    has so few units that having it in every part forces more, or where units are fixed.
    """
    fixed = fixed or {}
    smallest = min(share for share in shares.values() if share)
    ledger = _Ledger(shares, Counter(label for unit in units for label in unit.labels))
    for unit in units:
        if unit.name in fixed:
            ledger.note(unit, fixed[unit.name])
    shuffled = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
    placed: dict[str, str] = {}
    for stratum in _strata(shuffled):
        total = sum(unit.weight for unit in stratum)
        ledger.expect(total)
        new = [unit for unit in stratum if unit.name not in fixed]
        for unit in stratum:
            if unit.name in fixed:
                placed[unit.name] = ledger.charge(unit, fixed[unit.name])
        for unit in _giants_first(new, total * smallest):
            placed[unit.name] = ledger.place(unit)
    return placed


@dataclass
class _Ledger:
    """Keep what each part is owed, in photographs, and which classes it has seen."""

    shares: Mapping[str, float]
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
        self.note(unit, part)
        return self.charge(unit, part)

    def note(self, unit: Unit, part: str) -> None:
        """Take down that a part has the classes of a unit."""
        self.seen.setdefault(part, set()).update(unit.labels)
        self.to_come.subtract(unit.labels)

    def charge(self, unit: Unit, part: str) -> str:
        """Take a unit off what its part is owed, and give the part."""
        self.owed[part] -= unit.weight
        return part

    def _choices(self, unit: Unit) -> list[str]:
        """Return all parts, or those that lack a class of which just enough units are left."""
        open_parts = [part for part, share in self.shares.items() if share]
        urgent: set[str] = set()
        for label in unit.labels:
            lacking = {part for part in open_parts if label not in self.seen.get(part, ())}
            if self.to_come[label] <= len(lacking):
                urgent |= lacking
        return [part for part in open_parts if part in urgent] or open_parts


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
