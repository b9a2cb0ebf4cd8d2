"""Split a manifest into train, val and test parts, and count what leaks between them.

Names tell which pictures show one patient (a group) and which are augmented copies of one
photograph; identical files join groups. The default split keeps whole groups together and
measures on photographs only. The user's own way, a random split over all pictures, is here too,
so that the difference can be shown. It opens no picture and writes no file.

Every split is a function of the rows, sorted by path, and the seed: neither the order of the
rows nor the date shows. Near-duplicates, which have other bytes, are not looked for.

Source: the naming scheme is that of the Monkeypox Skin Lesion Dataset v1 (Ali et al. 2022,
arXiv:2207.03342), with any letters in front. The stratified placing of whole groups follows the
greedy idea of scikit-learn's StratifiedGroupKFold; it departs from it in that the shares may
differ and the largest debt decides, which keeps every part within one group of its share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from resnext.errors import InputError
from resnext.manifest import read_table

COLUMNS = ["path", "label", "group", "copy", "split", "reason"]
PARTS = ("train", "val", "test")
UNUSED = "unused"
FIT = 0.95  # share of names that a built-in scheme must fit
PHOTOGRAPHS = 0.1  # share of photographs that must be there themselves, not as copies alone
USER_SHARES = (80.0, 0.0, 20.0)  # percent; what a plain random split takes
OFFENDERS = 5  # named in a message before the total
COPY_HELD_OUT = "copy of a held-out photograph"


class SplitSettings(BaseModel):
    """Say how pictures are shared out."""

    model_config = ConfigDict(frozen=True)

    strategy: Literal["grouped", "stratified", "random"] = Field(
        default="grouped",
        description=(
            "grouped: whole patients, by class, val and test hold photographs only; stratified: "
            "photographs by class, patients may cross; random: every file on its own, copies too"
        ),
    )
    shares: tuple[float, float, float] = Field(
        default=(70.0, 10.0, 20.0),
        description="train, val and test shares in percent; sum 100, val may be 0",
    )
    group_pattern: str | None = Field(
        default=None,
        description=(
            "regular expression searched in each path (relative, with /): named group 'group' is "
            "the patient, optional named group 'copy' the copy's number (0 or none = photograph)"
        ),
    )
    seed: int = Field(default=0, ge=0, description="seed of the draw, an integer from 0")

    @field_validator("shares")
    @classmethod
    def _shares_are_percent(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        train, val, test = shares
        if not (train > 0 and val >= 0 and test > 0 and abs(sum(shares) - 100) < 1e-6):
            raise ValueError(
                "shares must be three percentages that sum to 100, train and test above 0, got "
                f"{train:g},{val:g},{test:g}. Give for example 70,10,20."
            )
        return shares

    @field_validator("group_pattern")
    @classmethod
    def _pattern_names_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(
                f"group_pattern must be a regular expression, got {pattern!r}: {error}."
            ) from error
        if "group" not in groups:
            raise ValueError(
                f"group_pattern must hold the named group 'group', got {pattern!r}. "
                "Write for example (?P<group>P\\d+)_\\d+_(?P<copy>\\d+)."
            )
        return pattern


class Scheme(NamedTuple):
    """Name a way of naming pictures; the pattern's groups are those of `group_pattern`."""

    name: str
    pattern: str


SCHEMES = (
    Scheme(
        "patient_photograph_copy (MSLD v1)",
        r"(?:^|/)(?P<group>[A-Za-z]+\d{1,4})_\d{1,3}(?:_(?P<copy>\d{1,3}))?(?:\.[^./]*)?$",
    ),
)


class _Name(NamedTuple):
    """Hold what a path says; a path that no pattern fits is a group of its own."""

    group: str
    copy: int | None
    photograph: str
    fits: bool


@dataclass(frozen=True, eq=False)
class Naming:
    """Hold the scheme that was taken, its evidence, and the pictures with what their names say.

    `pictures` is sorted by path: path, label, sha256, group, copy, photograph; `ids` counts the
    groups before identical files joined them. `scheme` is empty where none fits.
    """

    scheme: str
    fits: int
    ids: int
    pictures: pd.DataFrame


# ---------------------------------------------------------------- the split


def split(manifest: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Share the pictures of a manifest out to train, val and test.

    Returns one row a picture, sorted by path. `copy` is 0 for a photograph, empty where the name
    says nothing; pictures that take part in nothing are `unused` with a reason.

    Raises:
        InputError: a class is too small for the parts, or the pattern fits no path.
    """
    pictures = read_names(manifest, settings.group_pattern).pictures
    if settings.strategy == "random":
        parts, reasons = _draw_at_random(pictures, settings), [""] * len(pictures)
    else:
        parts, reasons = _draw_units(pictures, settings)
    drawn = pictures.assign(split=parts, reason=reasons)[COLUMNS]
    _require_every_part(drawn, settings)
    return drawn


def read_split(path: Path) -> pd.DataFrame:
    """Read a split.csv.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    if not path.is_file():
        raise InputError(f"split must be a file, got {str(path)!r}. No such file. Split first.")
    table = read_table(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"split must hold the columns {', '.join(COLUMNS)}, got none named "
            f"{', '.join(missing)}. File {str(path)!r}. Split the data again."
        )
    numbers = pd.to_numeric(table["copy"].where(table["copy"] != ""), errors="coerce")
    return table.assign(copy=numbers.astype("Int64"))


def _draw_at_random(pictures: pd.DataFrame, settings: SplitSettings) -> list[str]:
    """Shuffle all pictures and cut: `int(share * n)` to train, the rest to val and test."""
    _require_enough(pictures, pictures["path"], _parts(settings), settings)
    n = len(pictures)
    train = int(settings.shares[0] / 100 * n)
    val = int(settings.shares[1] / 100 * n)
    parts = np.repeat(np.array(PARTS, dtype=object), [train, val, n - train - val])
    drawn = np.empty(n, dtype=object)
    drawn[np.random.default_rng(settings.seed).permutation(n)] = parts
    return [str(part) for part in drawn]


def _draw_units(pictures: pd.DataFrame, settings: SplitSettings) -> tuple[list[str], list[str]]:
    """Share out whole groups, or whole photographs with their copies, and clean what is held out.

    Returns the part and the reason of each picture.
    """
    unit = pictures["group" if settings.strategy == "grouped" else "photograph"]
    conflicts = _label_conflicts(pictures)
    is_photograph = pictures["copy"].fillna(0) == 0
    counted = pictures.assign(unit=unit)[is_photograph & (conflicts == "")]
    counted = counted.drop_duplicates(["unit", "sha256"])
    _require_enough(pictures, counted["unit"], _parts(settings), settings)
    placed = _place(_units(counted), settings)
    part = unit.map(placed).fillna("train")  # a unit without a photograph can only be trained on
    held_out = part.isin(["val", "test"])
    reasons = _reasons(pictures.assign(part=part), held_out, is_photograph, conflicts)
    return part.where(reasons == "", UNUSED).tolist(), reasons.tolist()


def _reasons(
    pictures: pd.DataFrame,
    held_out: pd.Series[bool],
    is_photograph: pd.Series[bool],
    conflicts: pd.Series[str],
) -> pd.Series[str]:
    """Say of each picture why it takes part in nothing; empty where it does."""
    reasons = conflicts.mask(held_out & ~is_photograph & (conflicts == ""), COPY_HELD_OUT)
    measured = pictures[held_out & (reasons == "")]
    again = measured.index[measured.duplicated(["part", "sha256"])]
    reasons.loc[again] = "identical to a photograph already in " + measured.loc[again, "part"]
    return reasons


def _label_conflicts(pictures: pd.DataFrame) -> pd.Series[str]:
    """Say of each picture which identical file stands under another class; empty where none."""
    labels = pictures.groupby("sha256")["label"].transform("nunique")
    reasons: dict[str, str] = {}
    for _, same in pictures[labels > 1].groupby("sha256"):
        for path, label in zip(same["path"], same["label"], strict=True):
            other = same.loc[same["label"] != label, "path"].iloc[0]
            reasons[path] = f"label conflict: identical to {other}"
    said = [reasons.get(path, "") for path in pictures["path"]]
    return pd.Series(said, index=pictures.index, dtype="str")


def _parts(settings: SplitSettings) -> list[str]:
    """Return the parts that have a share."""
    return [part for part, share in zip(PARTS, settings.shares, strict=True) if share > 0]


# ---------------------------------------------------------------- placing units


class _Unit(NamedTuple):
    """Hold what is placed as a whole: a name, its photographs, and the classes they are of."""

    name: str
    weight: int
    labels: tuple[str, ...]


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

    def place(self, unit: _Unit) -> str:
        """Give a unit to the part that is owed most, first in order where two are owed as much."""
        part = max(self._choices(unit), key=lambda name: self.owed[name])
        self.owed[part] -= unit.weight
        self.seen.setdefault(part, set()).update(unit.labels)
        self.to_come.subtract(unit.labels)
        return part

    def _choices(self, unit: _Unit) -> list[str]:
        """Return all parts, or those that lack a class of which just enough units are left."""
        urgent: set[str] = set()
        for label in unit.labels:
            lacking = {part for part in self.shares if label not in self.seen.get(part, ())}
            if self.to_come[label] <= len(lacking):
                urgent |= lacking
        return [part for part in self.shares if part in urgent] or list(self.shares)


def _units(counted: pd.DataFrame) -> list[_Unit]:
    """Gather photographs into units, sorted by name."""
    weights = counted["unit"].value_counts()
    labels = counted.drop_duplicates(["unit", "label"]).sort_values(["unit", "label"])
    gathered: dict[str, list[str]] = {}
    for name, label in zip(labels["unit"], labels["label"], strict=True):
        gathered.setdefault(name, []).append(label)
    return [_Unit(name, int(weights[name]), tuple(found)) for name, found in gathered.items()]


def _place(units: list[_Unit], settings: SplitSettings) -> dict[str, str]:
    """Place units class by class, the smallest class first; return the part of each unit.

    What one class leaves owed is carried into the next, so that the rounding of many classes
    does not add up. No part misses its share by more than the largest unit, but where a class
    has so few units that having it in every part forces more.
    """
    shares = {part: settings.shares[PARTS.index(part)] / 100 for part in _parts(settings)}
    ledger = _Ledger(shares, Counter(label for unit in units for label in unit.labels))
    shuffled = [units[i] for i in np.random.default_rng(settings.seed).permutation(len(units))]
    placed: dict[str, str] = {}
    for stratum in _strata(shuffled):
        total = sum(unit.weight for unit in stratum)
        ledger.expect(total)
        for unit in _giants_first(stratum, total * min(shares.values())):
            placed[unit.name] = ledger.place(unit)
    return placed


def _strata(units: Iterable[_Unit]) -> list[list[_Unit]]:
    """Gather units of the same classes, the fewest photographs first."""
    strata: dict[tuple[str, ...], list[_Unit]] = {}
    for unit in units:
        strata.setdefault(unit.labels, []).append(unit)
    return sorted(
        strata.values(), key=lambda found: (sum(u.weight for u in found), found[0].labels)
    )


def _giants_first(units: list[_Unit], smallest: float) -> list[_Unit]:
    """Put units above the smallest part's size first, largest first: they only fit into train."""
    return sorted(units, key=lambda unit: -unit.weight if unit.weight > smallest else 0)


# ---------------------------------------------------------------- names and groups


def read_names(manifest: pd.DataFrame, group_pattern: str | None = None) -> Naming:
    """Read groups and copies from the paths and join the groups that share identical files.

    The pattern decides, else the first built-in scheme that fits, else every picture is a group.

    Raises:
        InputError: the pattern fits no path, or its `copy` is no number.
    """
    pictures = manifest[["path", "label", "sha256"]].sort_values("path", ignore_index=True)
    paths = pictures["path"].tolist()
    scheme, names = _choose_scheme(paths, group_pattern)
    groups = [name.group for name in names]
    joined = join_groups(groups, pictures["sha256"].tolist())
    copies = pd.array([name.copy for name in names], dtype="Int64")
    pictures = pictures.assign(
        group=pd.Series(joined, dtype="str"),
        copy=copies,
        photograph=pd.Series([name.photograph for name in names], dtype="str"),
    )
    return Naming(scheme, sum(name.fits for name in names), len(set(groups)), pictures)


def join_groups(groups: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Join groups that hold an equal key, directly or through others.

    A joined group is called by its ids in order, `A=B`; of more than three, by the first three
    and the number of the others.
    """
    parents = {group: group for group in groups}
    first: dict[str, str] = {}
    for group, key in zip(groups, keys, strict=True):
        one, other = _root(parents, group), _root(parents, first.setdefault(key, group))
        parents[max(one, other)] = min(one, other)  # the smallest id is the root
    members: dict[str, list[str]] = {}
    for group in sorted(parents):
        members.setdefault(_root(parents, group), []).append(group)
    names = {root: _joined_name(ids) for root, ids in members.items()}
    return [names[_root(parents, group)] for group in groups]


def _root(parents: dict[str, str], group: str) -> str:
    """Follow a group to its root, halving the way for the next time."""
    while parents[group] != group:
        parents[group] = parents[parents[group]]
        group = parents[group]
    return group


def _joined_name(ids: list[str]) -> str:
    """Name a group by its sorted ids."""
    more = len(ids) - 3
    return "=".join(ids[:3]) + (f"=+{more}" if more > 0 else "")


def _choose_scheme(paths: list[str], pattern: str | None) -> tuple[str, list[_Name]]:
    """Return the scheme's name and what the paths say by it."""
    if pattern is not None:
        names = [_read_name(re.compile(pattern), path) for path in paths]
        if not any(name.fits for name in names):
            raise InputError(
                f"group_pattern must fit the paths, got {pattern!r}. It fits none of "
                f"{len(paths):,}, for example {paths[0]!r}. Correct it or leave it out."
            )
        return f"--group-pattern {pattern}", names
    for scheme in SCHEMES:
        names = [_read_name(re.compile(scheme.pattern), path) for path in paths]
        if _is_believed(names):
            return scheme.name, names
    return "", [_Name(path, None, path, False) for path in paths]


def _read_name(pattern: re.Pattern[str], path: str) -> _Name:
    """Read one path; its photograph is the path without ending and copy number."""
    match = pattern.search(path)
    if match is None or match["group"] is None:
        return _Name(path, None, path, False)
    if "copy" not in pattern.groupindex:
        return _Name(match["group"], None, path, True)
    stem = path.removesuffix(Path(path).suffix)
    if not match["copy"]:
        return _Name(match["group"], 0, stem, True)
    before, after = stem[: match.start("copy")].rstrip("_-. ("), stem[match.end("copy") :]
    return _Name(match["group"], _copy_number(match["copy"], path), before + after, True)


def _copy_number(text: str, path: str) -> int:
    """Return a copy's number.

    Raises:
        InputError: the text is no whole number.
    """
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            f"group_pattern must capture digits as 'copy', got {text!r}. Path {path!r}. "
            "Correct the pattern."
        )
    return int(text)


def _is_believed(names: list[_Name]) -> bool:
    """Tell whether a scheme fits enough names, and most photographs are not copies alone.

    The second half keeps dates such as a2024_05_17 from being taken for copies.
    """
    fitting = [name for name in names if name.fits]
    there = {name.photograph for name in fitting if not name.copy}
    known = {name.photograph for name in fitting}
    return len(fitting) >= max(FIT * len(names), 1) and len(there) >= PHOTOGRAPHS * len(known)


# ---------------------------------------------------------------- leakage


def leakage(
    manifest: pd.DataFrame, split: pd.DataFrame, group_pattern: str | None = None
) -> dict[str, Any]:
    """Count the test pictures that have something of themselves in train.

    `copy`: another file of the same photograph; `exact`: a file with the same bytes; `group`: a
    picture of the same group, as the split names it; `any`: at least one of these. Shares are of
    the test pictures, 0..1, null where there is none.
    """
    known = read_names(manifest, group_pattern).pictures[["path", "sha256", "photograph"]]
    rows = split[["path", "group", "split"]].merge(known, on="path", how="left", validate="1:1")
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    columns = {"copy": "photograph", "exact": "sha256", "group": "group"}
    crossing = pd.DataFrame({key: test[c].isin(train[c]) for key, c in columns.items()})
    crossing["any"] = crossing.any(axis=1)
    counts = {str(key): int(count) for key, count in crossing.sum().items()}
    return {"test_pictures": len(test)} | {
        key: {"count": count, "share": count / len(test) if len(test) else None}
        for key, count in counts.items()
    }


def leakage_report(
    manifest: pd.DataFrame, settings: SplitSettings, split: pd.DataFrame
) -> dict[str, Any]:
    """Set the leakage of a split beside that of a plain random 80/20 split with the same seed."""
    naming = read_names(manifest, settings.group_pattern)
    scheme = {
        "name": naming.scheme or None,
        "fits": naming.fits,
        "names": len(manifest),
        "ids": naming.ids,
        "groups": int(naming.pictures["group"].nunique()),
    }
    return {
        "strategy": settings.strategy,
        "scheme": scheme,
        "drawn": leakage(manifest, split, settings.group_pattern),
        "random": leakage(manifest, _user_split(manifest, settings), settings.group_pattern),
    }


def _user_split(manifest: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Draw the random split over all pictures that a plain script draws."""
    plain = {"strategy": "random", "shares": USER_SHARES}
    return split(manifest, settings.model_copy(update=plain))


def describe_split(split: pd.DataFrame, report: dict[str, Any]) -> str:
    """Tell in a few lines how pictures were shared out, on what evidence, and what leaks.

    `report` comes from `leakage_report`. A line that starts with WARNING stands last.
    """
    lines = [_scheme_line(report["scheme"])]
    lines += [_part_line(split, part) for part in PARTS if (split["split"] == part).any()]
    lines += _unused_lines(split)
    return "\n".join([*lines, *_leak_lines(report)])


def _scheme_line(scheme: dict[str, Any]) -> str:
    """Say which scheme was taken and on what evidence."""
    if scheme["name"] is None:
        joined = scheme["ids"] - scheme["groups"]
        return (
            f"Groups: no naming scheme fits 95 % of {scheme['names']:,} names, so every picture "
            f"is a group of its own ({joined:,} joined by identical files). If names tell "
            "patients, say how with --group-pattern"
        )
    return (
        f"Groups: {scheme['name']} fits {scheme['fits']:,} of {scheme['names']:,} names; "
        f"{scheme['ids']:,} ids, {scheme['groups']:,} groups after identical files joined them"
    )


def _part_line(split: pd.DataFrame, part: str) -> str:
    """Count pictures, photographs and groups of one part, and pictures and groups per class."""
    rows = split[split["split"] == part]
    photographs = int((rows["copy"].fillna(0) == 0).sum())
    counts = rows.groupby("label")["group"].agg(["size", "nunique"]).head(20)
    named = [
        f"{label} {size:,} ({groups:,})"
        for label, size, groups in counts.itertuples(index=True, name=None)
    ]
    more = rows["label"].nunique() - len(named)
    return (
        f"{part}: {len(rows):,} pictures ({photographs:,} photographs) of "
        f"{rows['group'].nunique():,} groups; pictures (groups) by class: {', '.join(named)}"
        + (f" and {more} more" if more else "")
    )


def _unused_lines(split: pd.DataFrame) -> list[str]:
    """Count the unused pictures by reason, without the names in it; name label conflicts."""
    unused = split[split["split"] == UNUSED]
    if unused.empty:
        return []
    kinds = unused["reason"].str.replace(r": identical to .*$", "", regex=True).value_counts()
    named = ", ".join(f"{count:,} ({kind})" for kind, count in sorted(kinds.items()))
    lines = [f"unused: {len(unused):,} pictures: {named}"]
    conflicts = unused[unused["reason"].str.startswith("label conflict")]
    if len(conflicts):
        first = conflicts.head(OFFENDERS)
        shown = [f"{p} ({r[16:]})" for p, r in zip(first["path"], first["reason"], strict=True)]
        lines.append(
            f"WARNING: {len(conflicts):,} pictures stand under two classes and are left out: "
            + "; ".join(shown)
        )
    return lines


def _leak_lines(report: dict[str, Any]) -> list[str]:
    """Warn of what leaks; else say what a random split would have leaked."""
    drawn, random = report["drawn"], report["random"]
    if drawn["any"]["count"]:
        return [
            f"WARNING: the score will be too good. Of {drawn['test_pictures']:,} test pictures, "
            f"{_leaks(drawn)}. Only --split grouped keeps them apart"
        ]
    if random["any"]["count"]:
        return [f"Nothing crosses from train to test. In a random split, {_leaks(random)}"]
    return ["Nothing crosses from train to test, and nothing known would in a random split"]


def _leaks(counts: dict[str, Any]) -> str:
    """Put the crossings of a split into words."""
    words = {
        "copy": "a copy of the same photograph",
        "exact": "an identical file",
        "group": "the same group",
    }
    said = [
        f"{counts[key]['count']:,} ({counts[key]['share']:.1%}) have {what}"
        for key, what in words.items()
        if counts[key]["count"]
    ]
    return ", ".join(said) + " in train"


# ---------------------------------------------------------------- what a split needs


def _require_enough(
    pictures: pd.DataFrame, units: pd.Series[str], parts: list[str], settings: SplitSettings
) -> None:
    """Raise an InputError that names the classes with fewer units than parts.

    `units` holds the unit of each countable picture, with the index of `pictures`.
    """
    totals = pictures["label"].value_counts()
    found = units.groupby(pictures["label"].loc[units.index]).nunique()
    few = {str(k): int(found.get(k, 0)) for k in sorted(totals.index)}
    few = {label: count for label, count in few.items() if count < len(parts)}
    if not few:
        return
    sizes = {label: int(totals[label]) for label in few}
    if any(size < len(parts) for size in sizes.values()):
        sizes = {label: size for label, size in sizes.items() if size < len(parts)}
        raise InputError(
            _too_few(sizes, "picture", len(parts), "Add pictures or remove the folder")
        )
    if settings.strategy == "grouped":
        remedy = "Add pictures of other patients, remove the folder, or use --split stratified"
        raise InputError(_too_few(few, "group", len(parts), remedy))
    remedy = "Add photographs or remove the folder"
    raise InputError(_too_few(few, "photograph", len(parts), remedy))


def _too_few(counts: dict[str, int], noun: str, parts: int, remedy: str) -> str:
    """Name the classes that are too small, at most five and then the total."""
    named = [
        f"{label!r} holds {count} {noun}{'' if count == 1 else 's'}"
        for label, count in list(counts.items())[:OFFENDERS]
    ]
    total = f" ({len(counts)} such folders in total)" if len(counts) > OFFENDERS else ""
    return (
        f"Class folder {', '.join(named)}{total}, but a split into {parts} parts needs at least "
        f"{parts}. {remedy}."
    )


def _require_every_part(drawn: pd.DataFrame, settings: SplitSettings) -> None:
    """Raise an InputError where a part that has a share got no picture."""
    for part in _parts(settings):
        if not (drawn["split"] == part).any():
            shares = ",".join(f"{share:g}" for share in settings.shares)
            raise InputError(
                f"shares must leave a picture to every part, got {shares}. The {part} part of "
                f"{len(drawn):,} pictures is empty. Add pictures or give other shares."
            )
