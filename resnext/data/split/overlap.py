"""Find the images of a labelled folder that a model was made with, and say which are scored.

An image counts as known where the model's train or val part holds the same bytes, an image that
looks nearly the same, or one of its group. So does one that shares its group here with such an
image. What the model's test part holds is not known: it was measured there, and can be again.

Nearly the same are images both of whose perceptual hashes are close, flipped or turned. Their grey
copies are not compared, as within a folder, since the model's images need not be here any more.
Without the file of hashes beside the model the pHash of its manifest must be equal.

A group is known by its name: a patient keeps the id when images of a later year are added. The
names of another hospital may be the same by chance; only a person can know that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few, plural
from resnext.contracts.tables import SPLIT_COLUMNS, read_manifest
from resnext.data.decoding.levels import Levels
from resnext.data.manifest.hashing import Hashes, turned
from resnext.data.split.describe import doubts_about_groups, evidence_of
from resnext.data.split.draw import held_out_reasons
from resnext.data.split.duplicates import (
    CLOSE,
    COLUMNS,
    NearDuplicates,
    choose_joined,
    close_pairs,
)
from resnext.data.split.groups import Groups, Numbers, find_groups
from resnext.data.split.keep_split import ids_of
from resnext.data.split.settings import UNUSED, SplitSettings
from resnext.data.split.split_folder import join, search
from resnext.data.split.tables import Sources, read_earlier, read_tables

IDENTICAL, NEARLY = "identical", "nearly identical"
SAME_NAME, RELATED = "group of the same name", "same group as an image that is known"
REPORTED = "nearly identical, scored all the same"
LACKING = "class that the model lacks"
OVERLAP_COLUMNS = ["path", "label", "reason", "other", "split"]
MADE_WITH = ("train", "val")
WRONG_GROUPS = "the intervals are too narrow where images belong together"


@dataclass(frozen=True, eq=False)
class Known:
    """Hold what lies beside a model: the rows of its split, and the hashes of its images.

    `rows` holds path, group, split, sha256, phash, ids; `hashes` (N, 8) are theirs, None where only
    the phash is known.
    """

    rows: pd.DataFrame
    hashes: Hashes | None

    @property
    def made_with(self) -> pd.Series[bool]:
        """Tell which images the model was trained or chosen with."""
        return self.rows["split"].isin(MADE_WITH)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Hold the images of a labelled folder with their groups, and what tells these.

    `images` is what `draw` takes; `hashes` (N, 8) are theirs.
    """

    images: pd.DataFrame
    hashes: Hashes
    groups: Groups


def read_known(
    manifest: Path, split: Path, hashes: Path | None = None, joined: Path | None = None
) -> Known:
    """Read the files beside a model.

    Raises:
        InputError: one of them is no such table.
    """
    images = read_manifest(manifest)[["path", "phash"]].assign(row=lambda each: range(len(each)))
    rows = read_earlier(split, manifest, joined).rows.merge(images, on="path")
    if hashes is None:
        return Known(rows, None)
    return Known(rows, np.load(hashes)[rows["row"].to_numpy(dtype=np.int64)])


def group_labelled(
    root: Path,
    manifest: pd.DataFrame,
    hashes: Hashes,
    settings: SplitSettings,
    groups: Path | None = None,
    *,
    levels: Levels = Levels(),
    workers: int = 1,
) -> Labelled:
    """Find the groups of the images of a manifest, below root, as a split does.

    Raises:
        InputError: the pattern or the table fits nothing, or an image changed since the scan.
    """
    tables = read_tables(Sources(groups), manifest, root)
    found = find_groups(manifest, settings.group_pattern, tables.groups, hashes=hashes)
    hashes = hashes[np.argsort(manifest["path"].to_numpy())]
    near = NearDuplicates(pd.DataFrame(columns=COLUMNS), {})
    if settings.near_duplicates != "off":
        near = search(root, found.images, hashes, workers, levels)
    nowhere = pd.Series("", found.images.index, dtype="str")
    images = join(found, choose_joined(found, near, settings, nowhere))
    return Labelled(images, hashes, found)


def find_overlap(
    here: Labelled, known: Known, near: str = "join", *, new_groups: bool = False
) -> pd.DataFrame:
    """List the images that a model was made with: path, label, reason, other, split.

    `other` is the model's image that shows it, `split` its part. `near` is as in SplitSettings;
    with `new_groups` groups of the same name are others.
    """
    images, rows = here.images, known.rows[known.made_with]
    found = pd.DataFrame({"reason": "", "other": ""}, images.index, dtype="str")

    def note(reason: str, others: pd.Series[Any]) -> None:
        fresh = (found["reason"] == "") & others.notna()
        found.loc[fresh, "reason"] = reason
        found.loc[fresh, "other"] = others[fresh].astype("str")

    note(IDENTICAL, images["sha256"].map(_first(rows, "sha256")))
    alike = pd.Series(np.nan, images.index, dtype="object")
    if near != "off":
        alike = pd.Series(_alike(here.hashes, known), images.index).map(known.rows["path"])
    if near == "join":
        note(NEARLY, alike)
    if not new_groups:
        named = images["id"].where(images["fits"] | images["listed"])
        note(SAME_NAME, named.map(_first(_by_id(rows, images["id"]), "id")))
    shown = images.assign(other=found["other"])[found["reason"] != ""]
    note(RELATED, images["group"].map(_first(shown, "group", "other")))
    note(REPORTED, alike)
    table = pd.concat([images[["path", "label"]], found], axis=1)[found["reason"] != ""]
    parts = known.rows.drop_duplicates("path").set_index("path")["split"]
    table = table.assign(split=table["other"].map(parts))
    return table[OVERLAP_COLUMNS].reset_index(drop=True)


def choose_scored(
    images: pd.DataFrame, overlap: pd.DataFrame, classes: Collection[str]
) -> pd.DataFrame:
    """Lay out split.csv: the part "test" is scored, the others are unused with a reason.

    Raises:
        InputError: no image is left to score.
    """
    left_out = overlap[overlap["reason"] != REPORTED].set_index("path")
    said = left_out["reason"] + ": " + left_out["other"]
    reasons = images["path"].map(said).astype("str").fillna("")
    reasons = reasons.mask(~images["label"].isin(list(classes)), LACKING)
    scored = images[reasons == ""].assign(split="test", new=False)
    reasons.loc[scored.index] = held_out_reasons(scored, SplitSettings())
    split = pd.Series("test", images.index, dtype="str").mask(reasons != "", UNUSED)
    _require_some(images, reasons, classes, left_out["other"])
    return images.assign(split=split, reason=reasons)[SPLIT_COLUMNS]


def count_overlap(
    here: Labelled,
    split: pd.DataFrame,
    overlap: pd.DataFrame | None,
    classes: Collection[str],
    *,
    phash_alone: bool = False,
) -> dict[str, Any]:
    """Lay out overlap.json: what was compared, what is left out and why, and what is scored.

    `overlap` is None where there is nothing beside the model to compare with; `phash_alone` says
    that the hashes were missing there.
    """
    scored = split[split["split"] == "test"]
    reasons = split["reason"].str.partition(": ")[0].value_counts()
    known = {} if overlap is None else overlap["reason"].value_counts().to_dict()
    return {
        "checked": overlap is not None,
        "phash_alone": phash_alone,
        "images": len(split),
        "scored": len(scored),
        "groups": int(scored["group"].nunique()),
        "known": {str(reason): int(count) for reason, count in known.items()},
        "left_out": {str(reason): int(count) for reason, count in reasons.items() if reason},
        "lacking": split.loc[~split["label"].isin(list(classes)), "label"].value_counts().to_dict(),
        "absent": sorted(set(classes) - set(scored["label"])),
        "evidence": evidence_of(here.groups),
        "group_warnings": [*doubts_about_groups(here.groups, WRONG_GROUPS)],
    }


def describe_overlap(found: Mapping[str, Any]) -> str:
    """Say in some lines what was left out of the score and why."""
    lines = [f"Groups: {found['evidence']}"]
    known = {name: count for name, count in found["known"].items() if name != REPORTED}
    if not found["checked"]:
        lines.append(
            "WARNING: no manifest.csv and split.csv lie beside the model as they were written: "
            "whether it was trained on some of these images could not be checked"
        )
    elif known:
        kinds = ", ".join(f"{count:,} {name}" for name, count in known.items())
        count = plural(sum(known.values()), "image")
        lines.append(f"{count} known from the training data, and left out: {kinds} (overlap.csv)")
    else:
        lines.append("No image is known from the training data")
    if found["phash_alone"]:
        lines.append("No hashes.npy lies beside the model: images are nearly alike by pHash alone")
    if again := found["known"].get(REPORTED):
        verbs = ("looks", "is") if again == 1 else ("look", "are")
        said = "{} like training images, and {} scored".format(*verbs)
        lines.append(f"WARNING: {plural(again, 'image')} {said}")
    lines += [
        f"Class {name} is not one of the model's: {plural(count, 'image')} left out"
        for name, count in found["lacking"].items()
    ]
    if absent := found["absent"]:
        kinds = "class" if len(absent) == 1 else "classes"
        lines.append(f"No image of the model's {kinds} {first_few(absent)} is scored")
    rest = {
        name: count for name, count in found["left_out"].items() if name not in (*known, LACKING)
    }
    lines += [f"{plural(count, 'image')} left out: {name}" for name, count in rest.items()]
    scored, groups = plural(found["scored"], "image"), plural(found["groups"], "group")
    lines.append(f"Scored: {scored} of {groups}")
    lines += [f"WARNING: {warning}" for warning in found["group_warnings"]]
    return "\n".join(lines)


# ---------------------------------------------------------------- what resembles


def _first(rows: pd.DataFrame, column: str, value: str = "path") -> pd.Series[str]:
    """Map what a column holds to the first row's value."""
    return rows.drop_duplicates(column).set_index(column)[value]


def _by_id(rows: pd.DataFrame, ids_now: pd.Series[str]) -> pd.DataFrame:
    """Give a row for each id of each image's group, of those that have one."""
    ids = ids_of(rows, ids_now)
    named = rows[rows["group"] != ""]
    return named.assign(id=named["group"].map(ids)).explode("id")


def _alike(hashes: Hashes, known: Known) -> Numbers:
    """Give the row of `known` that is nearly like each of N images (N, 8); -1 without one."""
    made_with = known.made_with.to_numpy()
    rows = np.append(np.flatnonzero(made_with), -1)
    flat = ~hashes[:, 4:].any(axis=1)  # an image of one grey looks like nothing
    if known.hashes is None:
        words = [int(each, 16) for each in known.rows.loc[made_with, "phash"]]
        found = _equal_phash(hashes, np.array(words, dtype=np.uint64))
    else:
        found = _close(hashes, known.hashes[made_with])
    return np.where(flat, -1, rows[found])


def _close(hashes: Hashes, others: Hashes) -> Numbers:
    """Give the row of others (M, 8) that is closest to each of N hashes (N, 8); -1 for none."""
    distinct, number = np.unique(hashes, axis=0, return_inverse=True)
    count, tables = len(others), [pd.DataFrame({"one": [], "other": [], "bits": []})]
    for pairs in close_pairs(np.concatenate([others, distinct]), CLOSE):
        ends = np.sort(pairs[["one", "other"]].to_numpy(), axis=1)
        across = (ends[:, 0] < count) & (ends[:, 1] >= count)
        bits = (pairs["phash"] + pairs["dhash"]).to_numpy()
        columns = {"one": ends[across, 0], "other": ends[across, 1], "bits": bits[across]}
        tables.append(pd.DataFrame(columns))
    best = pd.concat(tables).sort_values(["bits", "one"]).drop_duplicates("other")
    found = np.full(len(distinct), -1)
    found[best["other"].to_numpy(dtype=np.int64) - count] = best["one"].to_numpy(dtype=np.int64)
    return found[number.reshape(-1)]


def _equal_phash(hashes: Hashes, others: Hashes) -> Numbers:
    """Give the row of M pHashes (M,) that equals that of each image (N, 8) in an orientation."""
    rows = {int(word): row for row, word in reversed(list(enumerate(others.tolist())))}
    every = turned(hashes)[0].T.tolist()  # (N, 8)
    return np.array([max(rows.get(word, -1) for word in words) for words in every], dtype=np.int64)


def _require_some(
    images: pd.DataFrame,
    reasons: pd.Series[str],
    classes: Collection[str],
    others: pd.Series[str],
) -> None:
    """Raise an InputError where every image is left out; `others`, by path, are what they show."""
    if (reasons == "").any():
        return
    labels, names = sorted(set(images["label"])), first_few(sorted(classes))
    if not {*labels} & {*classes}:
        rule, got = f"hold a class of the model ({names})", first_few(labels)
        remedy = "Call the folders what the model calls the classes, or name another model."
        raise InputError("data", rule, got, remedy)
    counts = reasons.str.partition(": ")[0].value_counts()
    got = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    shown = first_few(f"{path} ({other})" for path, other in others.items())
    remedy = f"Each with the image that the model was made with: {shown}. " if shown else ""
    remedy += "Add images that the model has not seen."
    if SAME_NAME in counts:
        remedy += " If groups only happen to be called alike, give `new_groups`."
    raise InputError("data", "hold images that can be scored", f"none: {got}", remedy)
