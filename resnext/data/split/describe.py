"""Tell in words how pictures were divided, on what evidence, and what leaks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from resnext.contracts.formatting import display_width, printable
from resnext.data.manifest.listing import PART_NAMES
from resnext.data.split.conflicts import CONFLICT
from resnext.data.split.draw import COPY_HELD_OUT
from resnext.data.split.duplicates import TO_JUDGE
from resnext.data.split.given import NOT_GIVEN
from resnext.data.split.groups import EACH_ALONE, Naming, alike_notes
from resnext.data.split.settings import PARTS, UNUSED
from resnext.data.user_tables import first_shown, shown

LARGE = 0.1  # share of all photographs above which one group is warned about
ENOUGH_TO_SAY = 20  # photographs from which such a share means something
SHOWN_CLASSES = 20


def evidence_of(naming: Naming) -> str:
    """Say which scheme was taken and on what evidence."""
    names, but = len(naming.pictures), naming.reading.but
    if naming.scheme:
        said = f"{naming.scheme} fits {naming.fits:,} of {names:,} names"
        said += f"; {but}" if but else ""
    else:
        said = but or f"no naming scheme fits 95 % of {names:,} names"
        said += ", so every picture is a group of its own"
    if naming.listed == names:
        return f"--groups names the group of {names:,} of {names:,} pictures"
    if naming.listed:
        return f"--groups names the group of {naming.listed:,} of {names:,} pictures; else {said}"
    return said


def source_of(naming: Naming) -> str:
    """Say in a sentence for an error where the groups come from; empty where nothing tells."""
    how = "a guess: " if naming.guessed else "those of "
    return f"The groups are {how}{naming.scheme}. " if naming.scheme else ""


def group_warnings(naming: Naming, drawn: pd.DataFrame) -> list[str]:
    """Warn where groups are guessed or not known, and of copies that only a guess leaves out."""
    left_out = int((drawn["reason"] == COPY_HELD_OUT).sum()) if naming.reading.guessed else 0
    found = [
        _guessed(naming) if naming.guessed else "",
        _not_known(naming) if naming.unknown else "",
        _left_out(naming, left_out) if left_out else "",
        *_alike(naming),
    ]
    return [warning for warning in found if warning]


def warnings_of(
    pictures: pd.DataFrame,
    drawn: pd.DataFrame,
    report: Mapping[str, Any],
    tables: Mapping[str, Sequence[str]],
) -> list[str]:
    """List what else than its leaks a person must know before believing the split.

    `report` is leakage.json without its warnings; `tables` are the paths in the user's, by flag.
    """
    here = set(pictures["path"])
    warnings = [_absent(flag, [path for path in named if path not in here], len(named))
                for flag, named in tables.items()]  # fmt: skip
    warnings += [
        _not_given(drawn),
        _drawn_anew(pictures, report),
        "" if tables.get("--use-split") else _val_as_test(report, pictures, drawn),
        _not_carved(report),
        _not_joined(report),
    ]
    warnings += [*_missing_classes(drawn), _conflicts(pictures), _large_group(report)]
    return [warning for warning in warnings if warning]


def pair_warnings(drawn: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """Warn of pairs that look alike, were not joined, and stand in train and a held-out part."""
    part = dict(zip(drawn["path"], drawn["split"], strict=True))
    weak = pairs[pairs["verdict"] == TO_JUDGE]
    crossing = [
        f"{one} and {other}"
        for one, other in zip(weak["path"], weak["other"], strict=True)
        if {part[one], part[other]} in ({"train", "test"}, {"train", "val"})
    ]
    return [] if not crossing else [
        f"pairs that look alike but not enough to be joined stand in train and a held-out part: "
        f"{first_shown(crossing)}. If they show one patient, say so with --groups"
    ]  # fmt: skip


def describe_split(drawn: pd.DataFrame, report: Mapping[str, Any]) -> str:
    """Tell in a few lines how pictures were shared out, on what evidence, and what leaks.

    `report` is what leakage.json holds. Lines that start with WARNING stand last.
    """
    lines = _group_lines(report)
    lines += _table_lines(report.get("tables", {}))
    lines += _part_table(drawn)
    lines += _carved_line(report) + _unused_line(drawn)
    if not report["drawn"]["any"]["count"]:
        known = report["scheme"]["groups_known"]
        lines += [_clean_line(report["random"])] if known else _open_line(report["random"])
    others = [
        _other_leaks(report["drawn_val"], "val", "train"),
        _other_leaks(report["drawn_test_val"], "test", "val"),
    ]
    warnings = [*report["warnings"], *others, _leaks(report)]
    return "\n".join([*lines, *(f"WARNING: {warning}" for warning in warnings if warning)])


# ---------------------------------------------------------------- what is not known


def _guessed(naming: Naming) -> str:
    """Name a guess, with an example and the flags that decide."""
    total, pattern = len(naming.pictures), naming.reading.pattern
    whose = f" of {total - naming.listed:,} of {total:,} images" if naming.listed else ""
    read = zip(naming.pictures["path"], naming.pictures["group"], strict=True)
    example = next(
        (
            f": {path} is of group {group!r}, one of {naming.ids:,}"
            for path, group in read
            if (found := re.search(pattern, path)) and found["group"] == group
        ),
        "",
    )
    return (
        f"the groups{whose} are only guessed, by {naming.scheme}{example}. Nobody can say whether "
        "images of one patient stand in train and test until you do: --group-pattern "
        f"{shlex.quote(pattern)} confirms the guess, --groups FILE names the groups, and "
        f"{EACH_ALONE} says that every image is a group of its own"
    )


def _not_known(naming: Naming) -> str:
    """Count the images whose group nothing tells, with the flags that decide."""
    total, proposal = len(naming.pictures), naming.reading.proposal
    whose = "" if naming.unknown == total else f" of {naming.unknown:,} of {total:,} images"
    return (
        f"the groups{whose} are not known: each of these {naming.unknown:,} images counts as a "
        "group of its own, and images of one patient may stand in train and test. Say who is who "
        "with --groups FILE or --group-pattern REGEX"
        + (f", perhaps --group-pattern {shlex.quote(proposal)}" if proposal else "")
        + f"; {EACH_ALONE} says that every image is a group of its own"
    )


def _alike(naming: Naming) -> list[str]:
    """Say which groups that names and folders tell may be one, written in two ways."""
    if naming.listed == len(naming.pictures):
        return []
    groups = naming.pictures["group"]
    return alike_notes(groups[groups != naming.pictures["path"]], f"by {naming.scheme}")


def _left_out(naming: Naming, count: int) -> str:
    """Count the images that a guess takes for copies, with the flag that takes them in."""
    pattern = naming.reading.pattern.replace("(?P<copy>", "(?:")
    return (
        f"{count:,} images take part in nothing, since the guess takes them for copies of held-out "
        f"photographs. If they are images of their own, give --group-pattern {shlex.quote(pattern)}"
    )


def _not_joined(report: Mapping[str, Any]) -> str:
    """Say loudly that near-duplicates were found and not joined, and how many cross the split."""
    near, drawn, scheme = report["near"], report["drawn"], report["scheme"]
    if not near.get("reported_pairs"):
        return ""
    named = scheme["listed"] == scheme["names"]
    remedy = "correct --groups" if named else "name the groups of all images with --groups FILE"
    return (
        f"{near['reported_pairs']:,} pairs of near-duplicates were reported, not joined: "
        f"{near['not_joined_because']}. {drawn['near']['count']:,} of {drawn['test_pictures']:,} "
        "test images have a near-duplicate in train. If these show the same thing, the score will "
        f"be too good: look at near.csv, and {remedy}"
    )


# ---------------------------------------------------------------- groups and parts


def _group_lines(report: Mapping[str, Any]) -> list[str]:
    """Say how groups were found, and what joined them."""
    scheme, near = report["scheme"], report["near"]
    what, unsearched = "shared photographs, identical files and near-duplicates", ""
    if not near.get("searched", True):
        what = "shared photographs and identical files"
        unsearched = "; near-duplicates were not searched (--near-duplicates off)"
    by_itself = "" if scheme["name"] or scheme["listed"] else (
        ". If names tell patients, say how with --group-pattern, or list them with --groups"
    )  # fmt: skip
    lines = [f"Groups: {scheme['evidence']}{by_itself}"]
    lines.append(
        f"{scheme['ids']:,} ids, {scheme['groups']:,} groups: {what} joined "
        f"{scheme['ids'] - scheme['groups']:,}{unsearched}"
    )
    if near.get("listed_pairs"):
        lines.append(
            f"{near['listed_pairs']:,} pairs look alike but were not joined: near.csv and the "
            "report list them for you to judge"
        )
    return lines


def _table_lines(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Count the rows of each of the user's tables that met a picture, and the pictures without."""
    return [
        f"{flag} (columns {', '.join(map(shown, told['columns']))}): {told['met']:,} of "
        f"{told['rows']:,} rows met a picture"
        + "".join(f", {count:,} of them {way}" for way, count in told["ways"].items())
        + f"; {told['pictures_without']:,} of {told['pictures']:,} pictures have no row"
        for flag, told in tables.items()
    ]


def _part_table(drawn: pd.DataFrame) -> list[str]:
    """Lay out images (groups) by class and part, and how many of each part are photographs."""
    parts = [part for part in PARTS if (drawn["split"] == part).any()]
    used = drawn[drawn["split"].isin(parts)]
    labels = sorted(used["label"].unique())
    rows = [["images (groups)", *parts]]
    for label in labels[:SHOWN_CLASSES]:
        of_class = used[used["label"] == label]
        rows.append([printable(label), *(_count(of_class, part) for part in parts)])
    if len(labels) > SHOWN_CLASSES:
        rows.append([f"and {len(labels) - SHOWN_CLASSES} more", *("" for _ in parts)])
    photographs = used[used["copy"].fillna(0) == 0]
    rows.append(["all", *(_count(used, part) for part in parts)])
    rows.append(["photographs", *(_count(photographs, part) for part in parts)])
    wide = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    return [
        "".join(
            [
                f"{name}{' ' * (wide[0] - display_width(name))}",
                *(f"  {cell:>{width}}" for cell, width in zip(cells, wide[1:], strict=True)),
            ]
        ).rstrip()
        for name, *cells in rows
    ]


def _count(rows: pd.DataFrame, part: str) -> str:
    found = rows[rows["split"] == part]
    return f"{len(found):,} ({found['group'].nunique():,})"


def _carved_line(report: Mapping[str, Any]) -> list[str]:
    """Say which pictures of a given train part are validation."""
    carved = report.get("carved")
    if not carved or not carved["pictures"]:
        return []
    return [
        f"Validation: {carved['pictures']:,} pictures of {carved['groups']:,} groups were taken "
        "out of train for it, since train and one other part are all that was given (--no-val "
        "leaves them there)"
    ]


def _unused_line(drawn: pd.DataFrame) -> list[str]:
    """Count the unused pictures by reason, without the names in it."""
    unused = drawn[drawn["split"] == UNUSED]
    if unused.empty:
        return []
    kinds = unused["reason"].str.replace(r":.*$", "", regex=True).value_counts()
    named = ", ".join(f"{count:,} ({kind})" for kind, count in sorted(kinds.items()))
    return [f"unused: {len(unused):,} pictures: {named}"]


def _clean_line(random: Mapping[str, Any]) -> str:
    """Say that nothing leaks, and what a random split would have leaked."""
    if not random["any"]["count"]:
        return "No test picture has a known relative in train, nor would in a random split"
    return (
        "No test picture has a relative in train. Of the "
        f"{random['test_pictures']:,} test pictures of a random split, {_counted(random)}"
    )


def _open_line(random: Mapping[str, Any]) -> list[str]:
    """Say what a random split would have leaked by what is known; nothing of the split drawn."""
    if not random["any"]["count"]:
        return []
    return [f"Of the {random['test_pictures']:,} test pictures of a random split, "
            f"{_counted(random)}"]  # fmt: skip


# ---------------------------------------------------------------- warnings


def _absent(flag: str, paths: list[str], total: int) -> str:
    """Warn of paths in a user's table that are not in the folder."""
    if not paths:
        return ""
    return (
        f"{len(paths):,} of {total:,} paths of {flag} are not in the folder: {first_shown(paths)}"
    )


def _not_given(drawn: pd.DataFrame) -> str:
    """Warn of pictures that a given split does not name."""
    paths = drawn.loc[drawn["reason"] == NOT_GIVEN, "path"].tolist()
    if not paths:
        return ""
    return f"{len(paths):,} pictures are in no part of the given split: {first_shown(paths)}"


def _drawn_anew(pictures: pd.DataFrame, report: Mapping[str, Any]) -> str:
    """Say that parts which came with the data were dissolved."""
    firsts = {path.split("/", 1)[0].lower() for path in pictures["path"]}
    if report["strategy"] == "given" or not firsts <= set(PART_NAMES):
        return ""
    return (
        "the folder comes divided; its parts were put together and divided anew (--split given "
        "keeps them)"
    )


def _val_as_test(report: Mapping[str, Any], pictures: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """Say that the val folder is the test part, since there is no other."""
    if report["strategy"] != "given":
        return ""
    first = pictures["path"].str.split("/", n=1).str[0].str.lower().map(PART_NAMES)
    if not ((first == "val") & (drawn["split"] == "test")).any() or (first == "test").any():
        return ""
    return "there is no test part: the val part is the test part, and nothing is chosen by it"


def _not_carved(report: Mapping[str, Any]) -> str:
    """Say which classes no validation group could be taken of."""
    carved = report.get("carved")
    if not carved or not carved["missing"]:
        return ""
    if not carved["pictures"]:
        return (
            "there is no val part, and none could be taken out of train, where every class has too "
            "few groups: nothing is chosen or calibrated, and the last epoch counts"
        )
    return (
        f"val holds no picture of {first_shown(carved['missing'])}: train has too few groups of it "
        "to give one away"
    )


def _missing_classes(drawn: pd.DataFrame) -> list[str]:
    """Warn of classes that nothing can be learnt of, or that are not tested."""
    labels = set(drawn["label"])
    found = []
    for part, what in (("train", "learnt"), ("test", "tested")):
        missing = sorted(labels - set(drawn.loc[drawn["split"] == part, "label"]))
        if missing:
            found.append(f"no picture in {part} of {first_shown(missing)}: it can't be {what}")
    return found


def _conflicts(pictures: pd.DataFrame) -> str:
    """Warn of pictures that stand under two classes, by name."""
    found = pictures[pictures["conflict"] != ""]
    if found.empty:
        return ""
    reasons = found["conflict"].str.removeprefix(f"{CONFLICT}: ")
    named = [f"{p} ({r})" for p, r in zip(found["path"], reasons, strict=True)]
    return f"{len(named):,} pictures stand under two classes: {first_shown(named)}"


def _large_group(report: Mapping[str, Any]) -> str:
    """Warn of a group that holds more than a tenth of the photographs."""
    group = report["largest_group"]
    total = round(group["photographs"] / group["share"])
    if group["share"] <= LARGE or total < ENOUGH_TO_SAY:
        return ""
    return (
        f"group {group['name']} holds {group['photographs']:,} of {total:,} photographs "
        f"({group['share']:.0%}): if these are not one patient's, correct it with --groups"
    )


def _leaks(report: Mapping[str, Any]) -> str:
    """Warn of test pictures with relatives in train."""
    drawn = report["drawn"]
    unjoined = drawn["near"]["count"] if report["near"].get("reported_pairs") else 0
    if drawn["any"]["count"] <= unjoined:  # which `_not_joined` tells
        return ""
    return (
        f"the score will be too good. Of {drawn['test_pictures']:,} test pictures, "
        f"{_counted(drawn)}. Only --split grouped keeps them apart"
    )


def _other_leaks(counts: Mapping[str, Any] | None, part: str, seen: str) -> str:
    """Warn of pictures of a part with relatives in another, other than of test in train."""
    if not counts or not counts["any"]["count"]:
        return ""
    said = _counted(counts).removesuffix("train") + seen
    return f"of {counts[f'{part}_pictures']:,} {part} pictures, {said}"


def _counted(counts: Mapping[str, Any]) -> str:
    """Put the crossings of a split into words."""
    words = {
        "copy": "a copy of the same photograph",
        "exact": "an identical file",
        "near": "a near-duplicate",
        "group": "the same group",
    }
    said = [
        f"{counts[key]['count']:,} ({counts[key]['share']:.1%}) have {what}"
        for key, what in words.items()
        if key in counts and counts[key]["count"]
    ]
    return ", ".join(said) + " in train"
