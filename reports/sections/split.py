"""Say how the images were split, and whether something of one part is in another.

It counts the rows of split.csv and puts leakage.json into words. A key that is absent there was
not counted, which isn't the same as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reports.parts import PARTS, is_measured, validation_name
from reports.sections.folder import tally
from resnext.contracts.formatting import NOT_AVAILABLE, count, first_few, percent, plural

CONFLICT = "label conflict: "
FOLD = "fold"
"""The column of split.csv that says in which fold an image is tested."""
RELATIVES = {
    "copy": "another copy of the same original",
    "exact": "an identical file",
    "near": "a near-duplicate",
    "group": "an image of the same group",
    "any": "any of these",
}
"""What an image can have of itself in another part."""
STRATEGIES = {
    "grouped": "grouped: by class, every group whole on one side",
    "stratified": "stratified: originals by class; images of one group may cross",
    "random": "random: every file on its own; copies and groups may cross",
    "given": "the split that came with the data",
}
NO_VALIDATION = (
    "There is no validation part: the curves named test were measured on the test part after each "
    "epoch. Nothing was chosen by them."
)
CROSSINGS = {
    ("drawn_val", "validation image"): (
        "train: an epoch that the validation part chose was chosen with images that the network "
        "partly knew"
    ),
    ("drawn_test_val", "test image"): (
        "validation: an epoch that was chosen by it, or a probe that was trained on it, has met "
        "images much like those that are tested"
    ),
}
"""What relatives between other parts than test and train mean."""

Leakage = Mapping[str, Any]


# ---------------------------------------------------------------- the split


def rows(split: pd.DataFrame, classes: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """Count the images of each class by part, then all images and all groups.

    A group with a used image is not counted as unused.
    """
    known = [*classes, *sorted(set(split["label"]) - set(classes))]
    table = pd.crosstab(split["label"], split["split"]).reindex(index=pd.Index(known), fill_value=0)
    unused = split["split"] == "unused"
    left_out = unused & split["group"].isin(split.loc[~unused, "group"])
    groups = split[~left_out].groupby("split")["group"].nunique()
    if FOLD in split:
        tested = split[split[FOLD].notna()]
        table["test"] = tested["label"].value_counts().reindex(table.index, fill_value=0)
        groups["test"] = tested["group"].nunique()
    counted = [*table.iterrows(), ("All images", table.sum()), ("Groups", groups)]
    return [(str(name), {part: int(row.get(part, 0)) for part in PARTS}) for name, row in counted]


def part_names(split: pd.DataFrame) -> dict[str, str]:
    """Name the parts; in folds, what is tested is trained on as well."""
    return PARTS | ({"test": "Tested in a fold"} if FOLD in split else {})


def unused_reasons(split: pd.DataFrame) -> list[tuple[str, int]]:
    """Count the unused images by reason, the commonest first, without the names in them."""
    unused = split.loc[split["split"] == "unused", "reason"]
    return tally(unused.str.replace(r"(?s):.*$", "", regex=True))


def label_conflicts(split: pd.DataFrame) -> list[tuple[str, str]]:
    """List the images that are in two classes: path, and what the reason says of it."""
    unused = split[(split["split"] == "unused") & split["reason"].str.startswith(CONFLICT)]
    reasons = unused["reason"].str.removeprefix(CONFLICT)
    return [(str(p), str(r)) for p, r in zip(unused["path"], reasons, strict=True)]


def probe_originals(split: pd.DataFrame, manifest: pd.DataFrame) -> int:
    """Count the different originals of train and validation: a probe is trained on those alone.

    Of a class that holds nothing but copies, all images count.
    """
    original = split["copy"].fillna(0) == 0
    alone = ~split["label"].isin(split.loc[original, "label"])
    mine = split[(original | alone) & split["split"].isin(("train", "val"))]
    return int(mine.merge(manifest[["path", "sha256"]], on="path")["sha256"].nunique())


def notes(split: pd.DataFrame, history: pd.DataFrame) -> list[str]:
    """Say what a reader of the score must know of the split."""
    by_test = validation_name(split) == PARTS["test"] and is_measured(history)
    return [NO_VALIDATION] if by_test else []


# ---------------------------------------------------------------- what leaks


def crossings(leakage: Leakage | None) -> list[dict[str, str]]:
    """Compare the leaks of the split drawn with those of a random one, where they were counted.

    Gives by kind of relative its name, and the count and share of test images with one in train.
    """
    splits = {name: _get(leakage, name) for name in ("drawn", "random")}
    doubt = ", as far as groups are known" if _unknown_groups(_get(leakage, "scheme")) else ""
    return [
        {"name": name + (doubt if kind in ("group", "any") else "")}
        | {split: _counted(counts.get(kind)) for split, counts in splits.items()}
        for kind, name in RELATIVES.items()
        if any(kind in counts for counts in splits.values())
    ]


def leak_verdict(leakage: Leakage | None, beings: str = "patients") -> tuple[bool, str]:
    """Say whether something of the test part was in train, and if so that the score is too good.

    `beings` says of whom new images will be.
    """
    leaks = _get(leakage, "drawn").get("any")
    if leaks is None:
        return False, "Whether test images have relatives in train was not counted."
    if _only_look_alike(leakage, "drawn"):
        have = _have(leaks, "test image", "a near-duplicate", "a near-duplicate")
        return True, (
            f"{have} in train. They were reported, not joined: "
            f"{_get(leakage, 'near').get('not_joined_because')}. If they show the same thing, the "
            "score is too good to be believed."
        )
    if leaks["count"]:
        have = _have(leaks, "test image")
        return True, f"{have} in train: the score is too good to be believed for new {beings}."
    if unknown := _unknown_groups(_get(leakage, "scheme")):
        return True, f"Whether test images have relatives in train is not known: {unknown}"
    return False, "No test image is known to have a relative in train."


def random_verdict(leakage: Leakage | None) -> str:
    """Say what a random split would have tested on; empty unless it alone leaks."""
    drawn, random = _get(leakage, "drawn"), _get(leakage, "random")
    leaks = random.get("any")
    if not leaks or not leaks["count"] or (drawn.get("any") or {"count": 1})["count"]:
        return ""
    copies = max(_get(random, key).get("count", 0) for key in ("copy", "exact", "near"))
    kin = "copies or other images of the group" if copies else "group"
    kin = "copies" if copies == leaks["count"] else kin
    images = plural(random.get("test_pictures") or leaks["count"], "image")
    return (
        f"A random split would have tested on {count(leaks['count'])} of {images} "
        f"({percent(leaks['share'])}) whose {kin} the network had seen."
    )


def cautions(leakage: Leakage | None) -> list[str]:
    """List what else speaks against the split: crossings of the validation part, warnings.

    What may be wrong with the class folders comes before what may be with the split.
    """
    found = []
    for (key, noun), meaning in CROSSINGS.items():
        counts = _get(leakage, key).get("any")
        if counts and counts["count"] and not _only_look_alike(leakage, key):
            found.append(f"{_have(counts, noun)} in {meaning}.")
    warnings = [(leakage or {}).get(key) or () for key in ("folders", "warnings")]
    return [*found, *(str(warning) for each in warnings for warning in each)]


def unknown_groups(leakage: Leakage | None) -> str:
    """Say why the groups can't be relied on; empty where they are known or nothing is said."""
    return _unknown_groups(_get(leakage, "scheme"))


def _get(leakage: Leakage | None, key: str) -> Leakage:
    """Give what is under a key, empty where nothing is."""
    return (leakage or {}).get(key) or {}


def _counted(counts: Leakage | None) -> str:
    return f"{count(counts['count'])} ({percent(counts['share'])})" if counts else NOT_AVAILABLE


def _have(counts: Leakage, noun: str, one: str = "a relative", many: str = "relatives") -> str:
    """Say how many images have relatives, of one kind if it is named."""
    have = f"has {one}" if counts["count"] == 1 else f"have {many}"
    return f"{plural(counts['count'], noun)} ({percent(counts['share'])}) {have}"


def _only_look_alike(leakage: Leakage | None, counted: str) -> bool:
    """Tell whether all relatives are near-duplicates that were not joined."""
    counts = _get(leakage, counted)
    kinds = [kind for kind in RELATIVES if kind != "any" and _get(counts, kind).get("count")]
    return bool(_get(leakage, "near").get("reported_pairs")) and kinds == ["near"]


def _unknown_groups(scheme: Leakage) -> str:
    """Say it of what leakage.json holds of the groups."""
    known = scheme.get("groups_known", bool(scheme.get("name") or scheme.get("listed")))
    if known or "name" not in scheme:
        return ""
    if scheme.get("guessed"):
        return (
            f"groups are only guessed ({scheme.get('evidence')}). If the guess is wrong, images "
            "of one group may be on both sides unseen. The warnings say how to decide."
        )
    number, total = scheme.get("unknown"), scheme.get("names")
    whose = "the file names follow no known scheme"
    if number is not None and number != total:
        whose = f"the groups of {count(number)} of {count(total)} images are not known"
    return (
        f"{whose}. Apart from the copies that were found, each of these images counts as a "
        "group of its own, and images that belong together may be on both sides unseen."
    )


# ---------------------------------------------------------------- how it was drawn


def facts(leakage: Leakage | None) -> dict[str, str]:
    """Say how the split was drawn and groups were found, as far as it is known."""
    strategy = str((leakage or {}).get("strategy") or "")
    found = {
        "Strategy": STRATEGIES.get(strategy, strategy),
        "Validation": _carved(_get(leakage, "carved")),
        "How groups were found": str(_get(leakage, "scheme").get("evidence") or ""),
        "Images that look alike": _near(_get(leakage, "near")),
        "Largest group": _largest(_get(leakage, "largest_group")),
        "Your tables": _tables(_get(leakage, "tables")),
    }
    return {name: text for name, text in found.items() if text}


def _carved(carved: Leakage) -> str:
    """Say that validation was taken out of a given train part."""
    if not carved.get("pictures"):
        return ""
    images, groups = plural(carved["pictures"], "image"), plural(carved["groups"], "group")
    return f"{images} of {groups}, taken out of train, since only one other part was given"


def _near(near: Leakage) -> str:
    """Say how many pairs were joined and left to a person, or that none was looked for."""
    if near.get("searched") is False:
        return "not searched"
    kinds = {
        "joined": "taken for one original and joined",
        "reported": "near-duplicates that were reported, not joined",
        "listed": "left for you to judge",
    }
    numbers = {kind: near.get(f"{kind}_pairs") for kind in kinds}
    known = [(number, kinds[kind]) for kind, number in numbers.items() if number is not None]
    return ", ".join(
        f"{count(number) if position else plural(number, 'pair')} {words}"
        for position, (number, words) in enumerate(known)
    )


def _largest(group: Leakage) -> str:
    """Name the largest group with the number and share of its originals."""
    if "name" not in group or "photographs" not in group:
        return ""
    share = f" ({percent(group['share'])})" if "share" in group else ""
    ids = group.get("ids") or [group["name"]]
    name = first_few([f"“{each}”" for each in ids], " and ") + (", joined" if len(ids) > 1 else "")
    return f"{name}, {plural(group['photographs'], 'original')}{share}"


def _tables(tables: Leakage) -> str:
    """Count, for each table that the user gave, the rows and images that met."""
    return "; ".join(
        f"{flag}: {count(met['met'])} of {plural(met['rows'], 'row')} met an image, "
        f"{count(met['pictures_without'])} of {plural(met['pictures'], 'image')} have no row"
        for flag, met in tables.items()
    )
