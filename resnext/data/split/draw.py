"""Draw the train, val and test parts of pictures whose groups are known.

The default keeps whole groups together and measures on photographs only. The way of the script that
the project began as, a random split over all pictures, is here too, so that the difference can be
shown; a split that was made elsewhere is taken as it is. It opens no picture and writes no file.

Every split is a function of the rows, sorted by path, and the seed: neither the order of the
rows nor the date shows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few
from resnext.data.split.conflicts import CONFLICT
from resnext.data.split.given import GIVEN_UNUSED, NOT_GIVEN, parts_of_folders
from resnext.data.split.groups import EACH_ALONE, join_groups
from resnext.data.split.kept import kept_parts
from resnext.data.split.placing import gather_units, place
from resnext.data.split.settings import COLUMNS, PARTS, UNUSED, SplitSettings

COPY_HELD_OUT = "copy of a held-out photograph"
MOST_NAMED = 5  # classes whose largest group an error names


def draw(
    pictures: pd.DataFrame,
    settings: SplitSettings,
    *,
    given: Mapping[str, str] | None = None,
    earlier: pd.DataFrame | None = None,
    source: str = "",
) -> pd.DataFrame:
    """Share pictures out to train, val and test.

    `pictures` holds path, label, sha256, id, group, copy, photograph, look and conflict (why it
    can't be measured on, or empty), sorted by path. `given` names the part of each path for the
    strategy "given", else the folders do; `earlier` is a split whose pictures stay where they are
    (see `kept`). Of given parts val is the test part where there is no other, and a val part that
    is missing then can be taken out of train. `source` is a sentence on where the groups come
    from, for an error.
    Returns one row a picture; those that take part in nothing are `unused` with a reason.

    Raises:
        InputError: a class is too small for the parts, or a part is empty.
    """
    if settings.strategy == "given":
        parts, reasons = _take_given(pictures["path"].tolist(), given)
        if settings.carve_val and "val" not in parts:
            parts, reasons = _carve_val(pictures, parts, reasons, settings)
    elif settings.strategy == "random":
        _require_enough(pictures, pictures["path"], len(settings.parts), settings, source)
        parts = shuffled_parts(len(pictures), settings.shares, settings.seed)
        reasons = [""] * len(pictures)
    else:
        parts, reasons = _draw_units(pictures, settings, earlier, source)
    drawn = pictures.assign(split=parts, reason=reasons)[COLUMNS]
    _require_every_part(drawn, settings, kept=earlier is not None)
    return drawn


# ---------------------------------------------------------------- given and random


def _take_given(paths: list[str], given: Mapping[str, str] | None) -> tuple[list[str], list[str]]:
    """Take each picture's part as it is; val is the test part where there is no other."""
    known = parts_of_folders(paths) if given is None else given
    parts = [known.get(path) or UNUSED for path in paths]
    if "test" not in parts:
        parts = ["test" if part == "val" else part for part in parts]
    reasons = [GIVEN_UNUSED if path in known else NOT_GIVEN for path in paths]
    used = zip(reasons, parts, strict=True)
    return parts, [reason if part == UNUSED else "" for reason, part in used]


def _carve_val(
    pictures: pd.DataFrame, parts: list[str], reasons: list[str], settings: SplitSettings
) -> tuple[list[str], list[str]]:
    """Take whole groups out of a given train part for val, in the ratio of train to val.

    A group that reaches into test stays, so that val shares nothing with test; so does one of a
    class that has no second group in train. As in a split that is drawn here, val holds each
    photograph once.
    """
    frame = pictures.assign(unit=pictures["group"], part=parts, why=reasons, new=False)
    train = frame[frame["part"] == "train"]
    counted = train[(train["copy"].fillna(0) == 0) & (train["conflict"] == "")]
    units = counted.drop_duplicates(["unit", "label"])
    alone = units[~units["label"].duplicated(keep=False)]
    stay = {*frame.loc[frame["part"] == "test", "unit"], *alone["unit"]}
    placed = place(
        gather_units(counted.drop_duplicates(["unit", "sha256"])),
        _shares(settings, ("train", "val")),
        settings.seed,
        dict.fromkeys(stay, "train"),
    )
    carved = train[train["unit"].map(placed) == "val"].assign(part="val")
    measurable = (carved["copy"].fillna(0) == 0) | settings.hold_out_copies
    why = _reasons(carved, measurable)
    frame.loc[carved.index, "part"] = pd.Series("val", index=carved.index).mask(why != "", UNUSED)
    frame.loc[carved.index, "why"] = why
    return frame["part"].tolist(), frame["why"].tolist()


def shuffled_parts(n: int, shares: tuple[float, float, float], seed: int) -> list[str]:
    """Shuffle n pictures and cut: `int(share * n)` to train, the rest to val and test."""
    train, val = (int(share / 100 * n) for share in shares[:2])
    parts = np.repeat(np.array(PARTS, dtype=object), [train, val, n - train - val])
    drawn = np.empty(n, dtype=object)
    drawn[np.random.default_rng(seed).permutation(n)] = parts
    return [str(part) for part in drawn]


# ---------------------------------------------------------------- whole units


def _draw_units(
    pictures: pd.DataFrame, settings: SplitSettings, earlier: pd.DataFrame | None, source: str
) -> tuple[list[str], list[str]]:
    """Share out whole groups, or whole photographs with their copies, and clean what is held out.

    Returns the part and the reason of each picture.
    """
    grouped = settings.strategy == "grouped"
    pictures = pictures.assign(unit=pictures["group"] if grouped else _photographs(pictures))
    is_photograph = pictures["copy"].fillna(0) == 0
    counted = pictures[is_photograph & (pictures["conflict"] == "")]
    counted = counted.drop_duplicates(["unit", "sha256"])
    fixed = _fixed(pictures, grouped, earlier)
    placed = _place(pictures, counted, settings, fixed, source)
    # a unit without a photograph can only be trained on
    part = pictures["unit"].map({**fixed, **placed}).fillna("train")
    measurable = is_photograph | settings.hold_out_copies
    known = set() if earlier is None else set(earlier.loc[earlier["split"].isin(PARTS), "path"])
    reasons = _reasons(pictures.assign(part=part, new=~pictures["path"].isin(known)), measurable)
    return part.where(reasons == "", UNUSED).tolist(), reasons.tolist()


def _photographs(pictures: pd.DataFrame) -> pd.Series[str]:
    """Name the photograph of each picture, one name for all that are identical or nearly so."""
    same = (pictures[column].tolist() for column in ("sha256", "look"))
    joined = join_groups(pictures["photograph"].tolist(), *same)
    return pd.Series(joined, index=pictures.index, dtype="str")


def _fixed(pictures: pd.DataFrame, grouped: bool, earlier: pd.DataFrame | None) -> dict[str, str]:
    """Give the part of each unit that an earlier split knows.

    A photograph of a known patient is known only where patients are kept whole.
    """
    if earlier is None:
        return {}
    known = pictures if grouped else pictures.assign(id="")
    return kept_parts(pictures["unit"], known, earlier)


def _place(
    pictures: pd.DataFrame,
    counted: pd.DataFrame,
    settings: SplitSettings,
    fixed: Mapping[str, str],
    source: str,
) -> dict[str, str]:
    """Place the units of the counted photographs, into folds first where one is asked for."""
    if settings.fold is None:
        _require_enough(pictures, counted["unit"], len(settings.parts), settings, source)
        return place(gather_units(counted), _shares(settings, PARTS), settings.seed, fixed)
    fold, folds = settings.fold
    _require_enough(pictures, counted["unit"], folds, settings, source)
    equal = {str(number): 1 / folds for number in range(1, folds + 1)}
    fold_of = place(gather_units(counted), equal, settings.seed)
    tested = {unit: "test" for unit, name in fold_of.items() if name == str(fold)}
    rest = counted[~counted["unit"].isin(tested)]
    held_back = _shares(settings, ("train", "val"))
    _require_enough(pictures, rest["unit"], sum(map(bool, held_back.values())), settings, source)
    return place(gather_units(rest), held_back, settings.seed) | tested


def _shares(settings: SplitSettings, parts: tuple[str, ...]) -> dict[str, float]:
    """Give the shares of some parts, in sum 1."""
    shares = {part: settings.shares[PARTS.index(part)] for part in parts}
    return {part: share / sum(shares.values()) for part, share in shares.items()}


def _reasons(pictures: pd.DataFrame, measurable: pd.Series[bool]) -> pd.Series[str]:
    """Say of each picture why it takes part in nothing; empty where it does.

    Of identical pictures in a held-out part one is measured on: one that was before, if any, else
    the first by path.
    """
    held_out = pictures["part"].isin(["val", "test"])
    conflict = pictures["conflict"]
    reasons = conflict.mask(held_out & ~measurable & (conflict == ""), COPY_HELD_OUT)
    measured = pictures[held_out & (reasons == "")].sort_values(["new", "path"])
    again = measured.index[measured.duplicated(["part", "sha256"])]
    reasons.loc[again] = "identical to a photograph already in " + measured.loc[again, "part"]
    return reasons


# ---------------------------------------------------------------- what a split needs


def _require_enough(
    pictures: pd.DataFrame,
    units: pd.Series[str],
    parts: int,
    settings: SplitSettings,
    source: str,
) -> None:
    """Raise an InputError that names the classes with fewer units than parts.

    `units` holds the unit of each countable picture, with the index of `pictures`.
    """
    totals = pictures["label"].value_counts()
    found = units.groupby(pictures["label"].loc[units.index]).nunique()
    few = {str(label): int(found.get(label, 0)) for label in sorted(totals.index)}
    few = {label: count for label, count in few.items() if count < parts}
    if not few:
        return
    sizes = {label: int(totals[label]) for label in few if totals[label] < parts}
    if sizes:
        raise _too_few(sizes, "picture", parts, "Add pictures or remove the folder.")
    grouped = settings.strategy == "grouped"
    mine = pictures[pictures["label"].isin(list(few))]
    where = f"{source}{_largest_groups(pictures, few)}" if grouped and source else source
    *ways, last = _ways_out(mine, parts, settings, named=bool(source))
    ways_out = f"{', '.join(ways)}{',' if len(ways) > 1 else ''} or {last}"
    noun = "group" if grouped else "photograph"
    raise _too_few(few, noun, parts, f"{where}{_why_few(mine)}{ways_out}.")


def _ways_out(mine: pd.DataFrame, parts: int, settings: SplitSettings, *, named: bool) -> list[str]:
    """List what helps where the pictures of some classes are in fewer units than parts."""
    grouped = settings.strategy == "grouped"
    ways = ["Add pictures of other patients" if grouped else "Add photographs", "remove the folder"]
    usable = mine[(mine["copy"].fillna(0) == 0) & (mine["conflict"] == "")]
    labels = mine["label"].unique()

    def enough(units: pd.Series[str]) -> bool:
        found = units.groupby(usable["label"]).nunique()
        return bool((found.reindex(labels, fill_value=0) >= parts).all())

    if grouped and enough(usable["sha256"]):
        alone = f" ({EACH_ALONE}: every picture by itself)" if named else ""
        ways.append(f"say with `groups` or `group_pattern` who is who{alone}")
    if grouped and enough(_photographs(usable)):
        ways.append("use `split` stratified")
    if _are_all_copies(mine):
        ways.append("give a `group_pattern` without 'copy' if these are no copies")
    if mine["conflict"].str.startswith(f"{CONFLICT}: nearly").any():
        ways.append("use `near_duplicates` report")
    return ways


def _are_all_copies(mine: pd.DataFrame) -> bool:
    """Tell whether a class holds no photograph, but what the names call copies."""
    return bool((mine["copy"].fillna(0) > 0).groupby(mine["label"]).all().any())


def _largest_groups(pictures: pd.DataFrame, few: Mapping[str, int]) -> str:
    """Name the largest group of each small class, at most five."""
    named = []
    for label in list(few)[:MOST_NAMED]:
        groups = pictures.loc[pictures["label"] == label, "group"]
        sizes = groups.value_counts().sort_index()
        named.append(
            f"Group {sizes.idxmax()!r} holds {sizes.max():,} of {len(groups):,} pictures of "
            f"{label!r}. "
        )
    return "".join(named)


def _why_few(mine: pd.DataFrame) -> str:
    """Say what else than too few patients leaves classes with too few groups."""
    if conflicts := int((mine["conflict"] != "").sum()):
        return (
            f"{conflicts:,} of their {len(mine):,} pictures are left out, since the same picture "
            "stands under another class. "
        )
    if _are_all_copies(mine):
        return (
            "All pictures of a class are copies by their names (no number, or 0, is a photograph). "
        )
    if mine["id"].nunique() > mine["group"].nunique():
        return "Identical and nearly identical pictures are one group. "
    return ""


def _too_few(counts: dict[str, int], noun: str, parts: int, remedy: str) -> InputError:
    """Name the classes that are too small."""
    named = first_few(f"{count} in {label!r}" for label, count in counts.items())
    rule = f"hold at least {parts} {noun}s for a split into {parts} parts"
    return InputError("Each class folder", rule, named, remedy)


def _require_every_part(drawn: pd.DataFrame, settings: SplitSettings, *, kept: bool) -> None:
    """Raise an InputError where a part that must not be empty got no picture."""
    given = settings.strategy == "given"
    empty = [
        part
        for part in (["train", "test"] if given else settings.parts)
        if not (drawn["split"] == part).any()
    ]
    if empty and given:
        raise InputError(
            "The given split",
            "hold train and test pictures",
            f"no {empty[0]} picture among {len(drawn):,}",
            "Correct its paths or parts.",
        )
    if empty and kept:
        raise InputError(
            "keep_split",
            "leave a picture to every part",
            f"none for {empty[0]}",
            "What it holds stays where it was. Give `shares` without that part, add "
            "pictures, or leave it out.",
        )
    if empty:
        shares = ",".join(f"{share:g}" for share in settings.shares)
        raise InputError(
            "shares",
            "leave a picture to every part",
            shares,
            f"The {empty[0]} part of {len(drawn):,} pictures is empty. Add pictures "
            "or give other shares.",
        )
