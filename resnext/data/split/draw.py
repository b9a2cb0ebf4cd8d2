"""Draw the train, val and test split of images whose groups are known.

The default keeps whole groups together and measures on originals only. The way of the script that
the project began as, a random split over all images, is here too, so that the difference can be
shown; a split that was made elsewhere is taken as it is. It opens no image and writes no file.

Every split is a function of the rows, sorted by path, and the seed: neither the order of the
rows nor the date shows.

Source: the greedy idea of `place` is that of scikit-learn's StratifiedGroupKFold; it departs from
it in that the shares may differ and the largest debt decides, which keeps every split within one
group of its share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.contracts.tables import SPLIT_COLUMNS
from resnext.data.manifest.listing import SPLIT_FOLDER_NAMES
from resnext.data.split.duplicates import CONFLICT
from resnext.data.split.groups import EACH_ALONE, join_groups
from resnext.data.split.keep_split import kept_splits
from resnext.data.split.settings import SPLITS, UNUSED, SplitSettings

COPY_HELD_OUT = "copy of a held-out photograph"
NOT_GIVEN = "not in the given split"
GIVEN_UNUSED = "unused in the given split"
SCRIPT_SHARES = (80.0, 0.0, 20.0)  # percent; what a plain random split takes
MOST_NAMED = 5  # classes whose largest group an error names

Folds: TypeAlias = list[pd.DataFrame]
"""The split of each fold, each of which tests other images."""


def draw(
    images: pd.DataFrame,
    settings: SplitSettings,
    *,
    given: Mapping[str, str] | None = None,
    earlier: pd.DataFrame | None = None,
    source: str = "",
) -> pd.DataFrame:
    """Share images out to train, val and test.

    `images` holds path, label, sha256, id, group, copy, original, cluster, conflict (why it can't
    be measured on, or empty) and left_out (why nothing is done with it), sorted by path.
    `given` names the split of each path for the strategy "given", else the folders do; `earlier`
    is a split whose images stay where they are (see `keep`). Of a given split val is test where
    there is no other, and a val that is missing then can be taken out of train. `source` is a
    sentence on where the groups come from, for an error.
    Returns one row an image; those that take part in nothing are `unused` with a reason.

    Raises:
        InputError: a class is too small, or train, val or test is empty.
    """
    reasons = pd.Series("", images.index, dtype="str")
    if settings.strategy == "given":
        splits, reasons = _take_given(images["path"], given)
        if settings.carve_val and not (splits == "val").any():
            splits, reasons = _carve_val(images, splits, reasons, settings)
    elif settings.strategy == "random":
        _require_enough(images, images["path"], len(settings.splits), settings, source)
        splits = _shuffled(images, settings.shares, settings.seed)
    else:
        splits, reasons = _draw_whole(images, settings, earlier, source)
    out = images["left_out"] != ""
    splits, reasons = splits.mask(out, UNUSED), reasons.mask(out, images["left_out"])
    drawn = images.assign(split=splits, reason=reasons)[SPLIT_COLUMNS]
    _require_every_split(drawn, settings, kept=earlier is not None)
    return drawn


def fold_of(folds: Folds) -> pd.Series[int]:
    """Say in which fold, from 1 on, each image is tested; NA for one that is in none."""
    found = pd.Series(pd.NA, folds[0].index, dtype="Int64")
    for number, drawn in enumerate(folds, start=1):
        found[drawn["split"] == "test"] = number
    return found


# ---------------------------------------------------------------- given and random


def _take_given(
    paths: pd.Series[str], given: Mapping[str, str] | None
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Take each image's split as it is, and why it has none; val is test where there is no other.

    Raises:
        InputError: neither a table nor the folders name it.
    """
    known = splits_of_folders(paths) if given is None else paths.map(given).astype("str")
    splits = known.replace("", UNUSED).fillna(UNUSED)
    if not (splits == "test").any():
        splits = splits.replace("val", "test")
    why = known.isna().map({True: NOT_GIVEN, False: GIVEN_UNUSED})
    return splits, why.where(splits == UNUSED, "")


def splits_of_folders(paths: pd.Series[str]) -> pd.Series[str]:
    """Read the splits from the first folder of each path: train, val, test or other names of them.

    Raises:
        InputError: the images do not lie in such folders.
    """
    found = paths.str.split("/", n=1).str[0].str.lower().map(SPLIT_FOLDER_NAMES)
    if found.isna().any():
        raise InputError(
            "split",
            "be drawn where the folder holds no train, val and test folders",
            "'given'",
            "Name a table with `use_split`, or leave `split` out.",
        )
    return found


def _carve_val(
    images: pd.DataFrame, splits: pd.Series[str], reasons: pd.Series[str], settings: SplitSettings
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Take whole groups out of a given train split for val, in the ratio of train to val.

    A group that reaches into test stays, so that val shares nothing with test; so does one of a
    class that has no second group in train. As in a split that is drawn here, val holds each
    original once.
    """
    frame = images.assign(unit=images["group"], split=splits, new=False)
    train = frame[splits == "train"]
    counted = train[(train["copy"].fillna(0) == 0) & (train["conflict"] == "")]
    by_class = counted.drop_duplicates(["unit", "label"])
    alone = by_class[~by_class["label"].duplicated(keep=False)]
    stay = {*frame.loc[splits == "test", "unit"], *alone["unit"]}
    shares = _shares(settings, ("train", "val"))
    placed = place(counted, shares, settings.seed, dict.fromkeys(stay, "train"))
    carved = train[train["unit"].map(placed) == "val"].assign(split="val")
    why = held_out_reasons(carved, settings)
    mine = pd.Series("val", carved.index).mask(why != "", UNUSED)
    return mine.reindex_like(splits).fillna(splits), why.reindex_like(splits).fillna(reasons)


def _shuffled(
    images: pd.DataFrame, shares: tuple[float, float, float], seed: int
) -> pd.Series[str]:
    """Shuffle N images and cut: `int(share * N)` to train, the rest to val and test."""
    count = len(images)
    train, val = (int(share / 100 * count) for share in shares[:2])
    drawn = np.empty(count, dtype=object)
    order = np.random.default_rng(seed).permutation(count)
    drawn[order] = np.repeat(np.array(SPLITS, dtype=object), [train, val, count - train - val])
    return pd.Series(drawn, images.index, dtype="str")


def script_split(images: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Draw the random 80/20 split over all images that a plain script draws, by the same seed.

    Like such a script it asks for nothing: a class may be missing from train or test.
    """
    return images[["path"]].assign(split=_shuffled(images, SCRIPT_SHARES, settings.seed))


# ---------------------------------------------------------------- whole groups


def _draw_whole(
    images: pd.DataFrame, settings: SplitSettings, earlier: pd.DataFrame | None, source: str
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Share out whole groups, or whole originals with their copies, and clean what is held out.

    Returns the split and the reason of each image.
    """
    grouped = settings.strategy == "grouped"
    images = images.assign(unit=images["group"] if grouped else _originals(images))
    counted = images[(images["copy"].fillna(0) == 0) & (images["conflict"] == "")]
    fixed, before = {}, set[str]()
    if earlier is not None:
        # where patients may cross, what is known of one says nothing of another original
        known = earlier if grouped else earlier.assign(group="")
        fixed = kept_splits(images["unit"], images, known)
        before = set(earlier.loc[earlier["split"].isin(SPLITS), "path"])
    placed = _place(images, counted.drop_duplicates(["unit", "sha256"]), settings, fixed, source)
    # a group without an original can only be trained on
    split = images["unit"].map({**fixed, **placed}).fillna("train")
    new = ~images["path"].isin(before)
    reasons = held_out_reasons(images.assign(split=split, new=new), settings)
    return split.where(reasons == "", UNUSED), reasons


def _originals(images: pd.DataFrame) -> pd.Series[str]:
    """Name the original of each image, one name for all that are identical or nearly so."""
    same = (images[column].tolist() for column in ("sha256", "cluster"))
    return pd.Series(join_groups(images["original"].tolist(), *same), images.index, dtype="str")


def _place(
    images: pd.DataFrame,
    counted: pd.DataFrame,
    settings: SplitSettings,
    fixed: Mapping[str, str],
    source: str,
) -> dict[str, str]:
    """Place the units of the counted originals, into folds first where one is asked for."""
    if settings.fold is None:
        needed = settings.folds or len(settings.splits)
        _require_enough(images, counted["unit"], needed, settings, source)
        splits = ("train", "val") if settings.folds else SPLITS
        return place(counted, _shares(settings, splits), settings.seed, fixed)
    fold, folds = settings.fold
    _require_enough(images, counted["unit"], folds, settings, source)
    equal = {str(number): 1 / folds for number in range(1, folds + 1)}
    fold_of = place(counted, equal, settings.seed)
    tested = {unit: "test" for unit, name in fold_of.items() if name == str(fold)}
    rest = counted[~counted["unit"].isin(tested)]
    shares = _shares(settings, ("train", "val"))
    _require_enough(images, rest["unit"], sum(map(bool, shares.values())), settings, source)
    return place(rest, shares, settings.seed) | tested


def _shares(settings: SplitSettings, splits: tuple[str, ...]) -> dict[str, float]:
    """Give the shares of some splits, in sum 1."""
    shares = {split: settings.shares[SPLITS.index(split)] for split in splits}
    return {split: share / sum(shares.values()) for split, share in shares.items()}


def held_out_reasons(images: pd.DataFrame, settings: SplitSettings) -> pd.Series[str]:
    """Say of each image why it takes part in nothing; empty where it does.

    Of identical images in val or test one is measured on: one that was before, if any, else the
    first by path.
    """
    held_out, conflict = images["split"].isin(["val", "test"]), images["conflict"]
    is_copy = (images["copy"].fillna(0) > 0) & (not settings.hold_out_copies)
    reasons = conflict.mask(held_out & is_copy & (conflict == ""), COPY_HELD_OUT)
    measured = images[held_out & (reasons == "")].sort_values(["new", "path"])
    again = measured.index[measured.duplicated(["split", "sha256"])]
    reasons.loc[again] = "identical to a photograph already in " + measured.loc[again, "split"]
    return reasons


class _Unit(NamedTuple):
    """Hold what is placed as a whole, such as a group: its name, originals, and their classes."""

    name: str
    weight: int
    labels: tuple[str, ...]


def place(
    counted: pd.DataFrame,
    shares: Mapping[str, float],
    seed: int,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Place units, by the columns unit and label of their originals; give the split of each.

    Units are placed class by class, the smallest class first. `shares` holds the share of each
    split, in sum 1. `fixed` names the split of units that stay where they are; only they can be in
    one whose share is 0.

    What one class leaves owed is carried into the next, so that the rounding of many classes
    does not add up. No split misses its share by more than the largest unit, but where a class
    has so few units that having it in every split forces more, or where units are fixed.
    """
    fixed = fixed or {}
    strata = _strata(counted, seed)
    units = [unit for stratum in strata for unit in stratum]
    owed = dict.fromkeys(shares, 0.0)  # originals
    seen: dict[str, set[str]] = {split: set() for split in shares}  # the classes in each split
    to_come = Counter(label for unit in units for label in unit.labels)

    def note(unit: _Unit, split: str) -> None:
        seen[split].update(unit.labels)
        to_come.subtract(unit.labels)

    def choices(unit: _Unit) -> list[str]:
        """Give all splits, or those that lack a class of which just enough units are left."""
        usable = [split for split, share in shares.items() if share]
        lacking = {label: {s for s in usable if label not in seen[s]} for label in unit.labels}
        urgent = [those for label, those in lacking.items() if to_come[label] <= len(those)]
        return [split for split in usable if any(split in those for those in urgent)] or usable

    for unit in units:
        if unit.name in fixed:
            note(unit, fixed[unit.name])
    placed: dict[str, str] = {}
    for stratum in strata:
        size = sum(unit.weight for unit in stratum)
        owed = {split: owed[split] + share * size for split, share in shares.items()}
        # units above the smallest split's size only fit into train: they come first
        smallest = size * min(share for share in shares.values() if share)
        stay = [unit for unit in stratum if unit.name in fixed]
        new = [unit for unit in stratum if unit.name not in fixed]
        new.sort(key=lambda unit: -unit.weight if unit.weight > smallest else 0)
        for unit in [*stay, *new]:
            split = fixed.get(unit.name) or max(choices(unit), key=owed.__getitem__)
            if unit.name not in fixed:
                note(unit, split)
            owed[split] -= unit.weight
            placed[unit.name] = split
    return placed


def _strata(counted: pd.DataFrame, seed: int) -> list[list[_Unit]]:
    """Gather the units of the same classes in random order, the fewest originals first."""
    weights, classes = Counter(counted["unit"]), dict[str, set[str]]()
    for name, label in zip(counted["unit"], counted["label"], strict=True):
        classes.setdefault(name, set()).add(label)
    units = [_Unit(name, weights[name], tuple(sorted(classes[name]))) for name in sorted(classes)]
    strata: dict[tuple[str, ...], list[_Unit]] = {}
    for number in np.random.default_rng(seed).permutation(len(units)):
        strata.setdefault(units[number].labels, []).append(units[number])
    return sorted(strata.values(), key=lambda s: (sum(unit.weight for unit in s), s[0].labels))


# ---------------------------------------------------------------- what a split needs


def _require_enough(
    images: pd.DataFrame, units: pd.Series[str], needed: int, settings: SplitSettings, source: str
) -> None:
    """Raise an InputError that names the classes with fewer units than are needed.

    `units` holds the unit of each countable image, with the index of `images`.
    """
    totals = images["label"].value_counts().sort_index()
    found = units.groupby(images["label"].loc[units.index]).nunique()
    few = found.reindex(totals.index, fill_value=0)
    few = few[few < needed]
    if few.empty:
        return
    counts, noun, remedy = totals[few.index], "image", "Add images or remove the folder."
    counts = counts[counts < needed]
    grouped = settings.strategy == "grouped"
    if counts.empty:
        counts, noun = few, "group" if grouped else "original"
        mine = images[images["label"].isin(few.index)]
        largest = _largest_groups(mine) if grouped and source else ""
        *ways, last = _ways_out(mine, needed, grouped=grouped, named=bool(source))
        ways_out = f"{', '.join(ways)}{',' if len(ways) > 1 else ''} or {last}"
        remedy = f"{source}{largest}{_why_few(mine)}{ways_out}."
    raise InputError(
        "Each class folder",
        f"hold at least {needed} {noun}s for a split into {needed} parts",
        first_few(f"{count} in {label!r}" for label, count in counts.items()),
        remedy,
    )


def _ways_out(mine: pd.DataFrame, needed: int, *, grouped: bool, named: bool) -> list[str]:
    """List what helps where the images of some classes are in fewer units than are needed."""
    usable = mine[(mine["copy"].fillna(0) == 0) & (mine["conflict"] == "")]
    labels = mine["label"].unique()

    def enough(units: pd.Series[str]) -> bool:
        found = units.groupby(usable["label"]).nunique()
        return bool((found.reindex(labels, fill_value=0) >= needed).all())

    alone = f" ({EACH_ALONE}: every image by itself)" if named else ""
    nearly = mine["conflict"].str.startswith(f"{CONFLICT}: nearly").any()
    ways = {
        "Add images of other patients" if grouped else "Add images": True,
        "remove the folder": True,
        f"say with `groups` or `group_pattern` who is who{alone}": (
            grouped and enough(usable["sha256"])
        ),
        "use `split` stratified": grouped and enough(_originals(usable)),
        "give a `group_pattern` without 'copy' if these are no copies": _are_all_copies(mine),
        "use `near_duplicates` report": nearly,
    }
    return [way for way, helps in ways.items() if helps]


def _are_all_copies(mine: pd.DataFrame) -> bool:
    """Tell whether a class holds no original, but what the names call copies."""
    return bool((mine["copy"].fillna(0) > 0).groupby(mine["label"]).all().any())


def _largest_groups(mine: pd.DataFrame) -> str:
    """Name the largest group of each small class, at most five."""
    named = []
    for label, groups in list(mine.groupby("label")["group"])[:MOST_NAMED]:
        sizes = groups.value_counts().sort_index()
        named.append(
            f"Group {sizes.idxmax()!r} holds {sizes.max():,} of {len(groups):,} images of "
            f"{label!r}. "
        )
    return "".join(named)


def _why_few(mine: pd.DataFrame) -> str:
    """Say what else than too few patients leaves classes with too few groups."""
    if conflicts := int((mine["conflict"] != "").sum()):
        return (
            f"{conflicts:,} of their {len(mine):,} images are left out, since the same image "
            "stands under another class. "
        )
    if _are_all_copies(mine):
        return "All images of a class are copies by their names (no number, or 0, is an original). "
    if mine["id"].nunique() > mine["group"].nunique():
        return "Identical and nearly identical images are one group. "
    return ""


def _require_every_split(drawn: pd.DataFrame, settings: SplitSettings, *, kept: bool) -> None:
    """Raise an InputError where a split that must not be empty got no image."""
    given = settings.strategy == "given"
    needed = ["train", "test"] if given else settings.splits
    empty = next((split for split in needed if not (drawn["split"] == split).any()), "")
    if not empty:
        return
    if given:
        raise InputError(
            "The given split",
            "hold train and test images",
            f"no {empty} image among {len(drawn):,}",
            "Correct its paths or splits.",
        )
    argument, got = "shares", ",".join(f"{share:g}" for share in settings.shares)
    remedy = f"Of {len(drawn):,} images none is left for {empty}. Add images or give other shares."
    if kept:
        argument, got = "keep_split", f"none for {empty}"
        remedy = (
            "What it holds stays where it was. Give `shares` without that one, add images, or "
            "leave it out."
        )
    raise InputError(argument, "leave an image to each of train, val and test", got, remedy)
