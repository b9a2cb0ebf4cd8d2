"""Split a manifest into train, val and test parts.

The default split keeps whole groups together and measures on photographs only. The way of the
script that the project began as, a random split over all pictures, is here too, so that the
difference can be shown. It opens no picture and writes no file.

Every split is a function of the rows, sorted by path, and the seed: neither the order of the
rows nor the date shows.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from resnext.errors import InputError
from resnext.split.groups import read_names
from resnext.split.placing import gather_units, place
from resnext.tables import read_columns

COLUMNS = ["path", "label", "group", "copy", "split", "reason"]
PARTS = ("train", "val", "test")
UNUSED = "unused"
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
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"group_pattern must be a regular expression, got {pattern!r}: {error}."
            ) from error
        if "group" not in groups:
            raise ValueError(
                f"group_pattern must hold the named group 'group', got {pattern!r}. "
                "Write for example (?P<group>P\\d+)_\\d+_(?P<copy>\\d+)."
            )
        return pattern


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
    table = read_columns(path, "split", COLUMNS, stage="split")
    numbers = pd.to_numeric(table["copy"].where(table["copy"] != ""), errors="coerce")
    return table.assign(copy=numbers.astype("Int64"))


# ---------------------------------------------------------------- drawing


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
    shares = {part: settings.shares[PARTS.index(part)] / 100 for part in _parts(settings)}
    placed = place(gather_units(counted), shares, settings.seed)
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
