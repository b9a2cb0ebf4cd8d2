"""Say how the pictures were divided, and whether something of one part stands in another.

It counts the rows of split.csv and puts leakage.json into words. A key that is absent there was
not counted, which isn't the same as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.sections.data_folder import tally
from resnext.contracts.formatting import NOT_AVAILABLE, count, percent, plural

PARTS = {"train": "Train", "val": "Validation", "test": "Test", "unused": "Unused"}
"""The parts of a split and what a reader calls them."""
CONFLICT = "label conflict"
RELATIVES = {
    "copy": "another copy of the same photograph",
    "exact": "an identical file",
    "near": "a near-duplicate",
    "group": "a picture of the same group",
    "any": "any of these",
}
"""What a picture can have of itself in another part."""
STRATEGIES = {
    "grouped": "grouped: by class, every group (patient) whole on one side",
    "stratified": "stratified: photographs by class; pictures of one patient may cross",
    "random": "random: every file on its own; copies and patients may cross",
    "given": "the split that came with the data",
}

NO_VALIDATION = (
    "There is no validation part: the curves named test were measured on the test part after each "
    "epoch. Nothing was chosen by them."
)

Leakage = Mapping[str, Any]


class Crossing(NamedTuple):
    """Hold one kind of leak: test pictures that have such a relative in train."""

    name: str
    drawn: str
    random: str


# ---------------------------------------------------------------- the split


def split_rows(split: pd.DataFrame, classes: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """Count the pictures of each class by part, then all pictures and all groups."""
    known = [*classes, *sorted(set(split["label"]) - set(classes))]
    table = pd.crosstab(split["label"], split["split"])
    table = table.reindex(index=pd.Index(known), columns=pd.Index(list(PARTS)), fill_value=0)
    groups = split.groupby("split")["group"].nunique()
    rows = [(str(name), _counts(row)) for name, row in table.iterrows()]
    return [*rows, ("All pictures", _counts(table.sum())), ("Groups", _counts(groups))]


def unused_reasons(split: pd.DataFrame) -> list[tuple[str, int]]:
    """Count the unused pictures by reason, the commonest first, without the names in them."""
    unused = split.loc[split["split"] == "unused", "reason"]
    return tally(unused.str.replace(r"(?s):.*$", "", regex=True))


def label_conflicts(split: pd.DataFrame) -> list[tuple[str, str]]:
    """List the pictures that stand under two classes: path, and what the reason says of it."""
    start = f"{CONFLICT}: "
    unused = split[(split["split"] == "unused") & split["reason"].str.startswith(start)]
    reasons = unused["reason"].str.removeprefix(start)
    return [(str(p), str(r)) for p, r in zip(unused["path"], reasons, strict=True)]


def validation_name(split: pd.DataFrame) -> str:
    """Name the part that the history's val columns measure: test where there is no val part."""
    return PARTS["val" if (split["split"] == "val").any() else "test"]


def notes(split: pd.DataFrame) -> list[str]:
    """Say what a reader of the score must know of the split."""
    return [] if (split["split"] == "val").any() else [NO_VALIDATION]


def _counts(row: pd.Series[Any]) -> dict[str, int]:
    """Give the count of each part, 0 where there is none."""
    return {part: int(row.get(part, 0)) for part in PARTS}


# ---------------------------------------------------------------- what leaks


def crossings(leakage: Leakage | None) -> list[Crossing]:
    """Set the leaks of the split drawn beside those of a random one; nothing where not counted."""
    drawn, random = _get(leakage, "drawn"), _get(leakage, "random")
    doubt = ", as far as groups are known" if _unknown_groups(_get(leakage, "scheme")) else ""
    names = RELATIVES | {key: f"{RELATIVES[key]}{doubt}" for key in ("group", "any")}
    return [
        Crossing(name, _crossing(drawn.get(key)), _crossing(random.get(key)))
        for key, name in names.items()
        if key in drawn or key in random
    ]


def leak_verdict(leakage: Leakage | None) -> tuple[bool, str]:
    """Say whether something of the test part was in train, and if so that the score is too good."""
    leaks = _get(leakage, "drawn").get("any")
    if leaks is None:
        return False, "Whether test pictures have relatives in train was not counted."
    if leaks["count"]:
        return True, _leak_sentence(leakage, leaks)
    unknown = _unknown_groups(_get(leakage, "scheme"))
    if unknown:
        return True, f"Whether test pictures have relatives in train is not known: {unknown}"
    return False, "No test picture is known to have a relative in train."


def _leak_sentence(leakage: Leakage | None, leaks: Leakage) -> str:
    """Say how many test pictures have relatives in train; near-duplicates may be none."""
    near = _get(leakage, "near")
    if _only_look_alike(leakage, "drawn"):
        have = "has" if leaks["count"] == 1 else "have"
        return (
            f"{plural(leaks['count'], 'test picture')} ({percent(leaks['share'])}) {have} a "
            "near-duplicate in train. They were reported, not joined: "
            f"{near.get('not_joined_because')}. If they show the same thing, the score is too good "
            "to be believed."
        )
    return (
        f"{_have_relatives(leaks, 'test picture')} in train: the score is too good to be "
        "believed for new patients."
    )


def _only_look_alike(leakage: Leakage | None, counted: str) -> bool:
    """Tell whether all relatives are near-duplicates that were not joined."""
    counts = _get(leakage, counted)
    kinds = [kind for kind in RELATIVES if kind != "any" and _get(counts, kind).get("count")]
    return bool(_get(leakage, "near").get("reported_pairs")) and kinds == ["near"]


def _unknown_groups(scheme: Leakage) -> str:
    """Say why the groups can't be relied on; empty where they are known or nothing is said."""
    known = scheme.get("groups_known", bool(scheme.get("name") or scheme.get("listed")))
    if known or "name" not in scheme:
        return ""
    if scheme.get("guessed"):
        return (
            f"groups are only guessed ({scheme.get('evidence')}). If the guess is wrong, pictures "
            "of one patient may stand on both sides unseen. The warnings say how to decide."
        )
    number, total = scheme.get("unknown"), scheme.get("names")
    few = number is not None and number != total
    whose = f"the groups of {count(number)} of {count(total)} pictures are not known" if few else (
        "the file names follow no known scheme"
    )  # fmt: skip
    return (
        f"{whose}. Apart from the copies that were found, each of these pictures counts as a "
        "patient of its own, and pictures of one patient may stand on both sides unseen."
    )


def random_verdict(leakage: Leakage | None) -> str:
    """Say what a random split would have tested on; empty unless it alone leaks."""
    drawn, random = _get(leakage, "drawn"), _get(leakage, "random")
    leaks = random.get("any")
    if not leaks or not leaks["count"] or (drawn.get("any") or {"count": 1})["count"]:
        return ""
    pictures = plural(random.get("test_pictures") or leaks["count"], "picture")
    return (
        f"A random split would have tested on {count(leaks['count'])} of {pictures} "
        f"({percent(leaks['share'])}) whose {_kin(random)} the network had seen."
    )


def cautions(leakage: Leakage | None) -> list[str]:
    """List what else speaks against the split: crossings of the validation part, warnings.

    What may be wrong with the class folders stands before what may be with the split.
    """
    validation, test = _get(leakage, "drawn_val").get("any"), _get(leakage, "drawn_test_val")
    said = []
    if validation and validation["count"] and not _only_look_alike(leakage, "drawn_val"):
        said.append(
            f"{_have_relatives(validation, 'validation picture')} in train: the best epoch was "
            "chosen with pictures that the network partly knew."
        )
    between = test.get("any")
    if between and between["count"] and not _only_look_alike(leakage, "drawn_test_val"):
        said.append(
            f"{_have_relatives(between, 'test picture')} in validation: the best epoch was chosen "
            "with pictures much like those that are tested."
        )
    told = (leakage or {}).get("folders"), (leakage or {}).get("warnings")
    return [*said, *(str(warning) for warnings in told for warning in warnings or ())]


def _get(leakage: Leakage | None, key: str) -> Leakage:
    """Give what stands under a key, empty where nothing does."""
    return (leakage or {}).get(key) or {}


def _crossing(counts: Leakage | None) -> str:
    """Write the count and share of one kind of leak."""
    if counts is None:
        return NOT_AVAILABLE
    return f"{count(counts['count'])} ({percent(counts['share'])})"


def _have_relatives(counts: Leakage, noun: str) -> str:
    """Say how many pictures have relatives."""
    have = "has a relative" if counts["count"] == 1 else "have relatives"
    return f"{plural(counts['count'], noun)} ({percent(counts['share'])}) {have}"


def _kin(counts: Leakage) -> str:
    """Name the relatives that were counted: copies where these are all of them."""
    copies = max((counts.get(key) or {"count": 0})["count"] for key in ("copy", "exact", "near"))
    if copies == counts["any"]["count"]:
        return "copies"
    return "copies or other pictures of the group" if copies else "group"


# ---------------------------------------------------------------- how it was drawn


def split_facts(leakage: Leakage | None) -> dict[str, str]:
    """Say how the split was drawn and groups were found, as far as it is known."""
    strategy = str((leakage or {}).get("strategy") or "")
    facts = {
        "Strategy": STRATEGIES.get(strategy, strategy),
        "Validation": _carved(_get(leakage, "carved")),
        "How groups were found": str(_get(leakage, "scheme").get("evidence") or ""),
        "Pictures that look alike": _near(_get(leakage, "near")),
        "Largest group": _largest(_get(leakage, "largest_group")),
        "Your tables": _tables(_get(leakage, "tables")),
    }
    return {name: text for name, text in facts.items() if text}


def _carved(carved: Leakage) -> str:
    """Say that validation was taken out of a given train part."""
    if not carved.get("pictures"):
        return ""
    pictures, groups = plural(carved["pictures"], "picture"), plural(carved["groups"], "group")
    return f"{pictures} of {groups}, taken out of train, since only one other part was given"


def _near(near: Leakage) -> str:
    """Say how many pairs were joined and left to a person, or that none was looked for."""
    if near.get("searched") is False:
        return "not searched"
    said = {
        "taken for one photograph and joined": near.get("joined_pairs"),
        "near-duplicates that were reported, not joined": near.get("reported_pairs"),
        "left for you to judge": near.get("listed_pairs"),
    }
    counted = [(number, words) for words, number in said.items() if number is not None]
    return ", ".join(
        f"{plural(number, 'pair') if place == 0 else count(number)} {words}"
        for place, (number, words) in enumerate(counted)
    )


def _tables(tables: Leakage) -> str:
    """Count, for each table that the user gave, the rows and pictures that met."""
    return "; ".join(
        f"{flag}: {count(told['met'])} of {plural(told['rows'], 'row')} met a picture, "
        f"{count(told['pictures_without'])} of {plural(told['pictures'], 'picture')} have no row"
        for flag, told in tables.items()
    )


def _largest(group: Leakage) -> str:
    """Name the largest group with the number and share of its photographs."""
    if "name" not in group or "photographs" not in group:
        return ""
    share = f" ({percent(group['share'])})" if "share" in group else ""
    return f"“{group['name']}”, {plural(group['photographs'], 'photograph')}{share}"
