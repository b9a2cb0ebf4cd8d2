"""Describe how images were split, on what evidence, and what leaks; and warn of what is doubtful.

`report` is what leakage.json holds.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from resnext.contracts.formatting import display_width, percent, plural, printable
from resnext.data.manifest.listing import SPLIT_FOLDER_NAMES
from resnext.data.split.draw import COPY_HELD_OUT, NOT_GIVEN
from resnext.data.split.duplicates import CONFLICT, TO_JUDGE, NearDuplicates
from resnext.data.split.groups import EACH_ALONE, Groups, in_words
from resnext.data.split.keep_split import kept_warnings
from resnext.data.split.settings import SPLITS, UNUSED
from resnext.data.split.tables import Tables, alike_notes
from resnext.data.user_tables import first_shown, shown

LARGE = 0.1  # share of all originals above which one group is warned about
MOST = 0.5  # share of the guessed groups above which it is said that they hold several classes
FILE_NAME = "(?:^|/)"  # with which a pattern of file names begins
ENOUGH_TO_SAY = 20  # originals from which such a share means something
SHOWN_CLASSES = 20
LEAKS = {
    "copy": "a copy of the same original",
    "exact": "an identical file",
    "near": "a near-duplicate",
    "group": "the same group",
}

FOLDS_APART = (
    "Each image in a fold is tested there, by a network that had not seen its group. Train and val "
    "are for a model that is trained on all folds (--final everything)"
)

Report = Mapping[str, Any]


def evidence_of(groups: Groups) -> str:
    """Say which scheme was taken and on what evidence."""
    names, but, scheme = len(groups.images), groups.reading.but, groups.reading.scheme
    listed = f"--groups names the group of {groups.listed:,} of {names:,} images"
    if groups.listed == names:
        return listed
    if scheme:
        said = f"{scheme} fits {groups.fits:,} of {names:,} names" + (f"; {but}" if but else "")
    else:
        said = but or f"no naming scheme fits 95 % of {names:,} names"
        said += ", so every image is a group of its own"
    return in_words(f"{listed}; else {said}" if groups.listed else said)


def source_of(groups: Groups) -> str:
    """Say in a sentence for an error where the groups come from; empty where nothing tells."""
    how = "a guess: " if groups.guessed else "those of "
    scheme = in_words(groups.reading.scheme)
    return f"The groups are {how}{scheme}. " if scheme else ""


def describe_split(drawn: pd.DataFrame, report: Report) -> str:
    """Tell in a few lines how images were shared out, on what evidence, and what leaks.

    Lines that start with WARNING stand last.
    """
    warnings = [*report["warnings"], *_leak_warnings(report)]
    lines = [
        *_group_lines(report),
        *_table_lines(report.get("tables", {})),
        *_count_lines(drawn),
        *([FOLDS_APART] if "fold" in drawn else []),
        *_leak_lines(drawn, report),
        *(f"WARNING: {warning}" for warning in warnings),
    ]
    return "\n".join(lines)


# ---------------------------------------------------------------- lines


def _group_lines(report: Report) -> Iterator[str]:
    """Say how groups were found, and what joined them."""
    scheme, near = report["scheme"], report["near"]
    remedy = ". If names tell patients, say how with --group-pattern, or list them with --groups"
    by_itself = not scheme["name"] and not scheme["listed"]
    yield f"Groups: {scheme['evidence']}{remedy if by_itself else ''}"
    what, unsearched = ["a shared original", "an identical file", "a near-duplicate"], ""
    if not near.get("searched", True):
        del what[2]
        unsearched = "; near-duplicates were not searched (--near-duplicates off)"
    what += ["a person's decision"] if scheme["decided"] else []
    ids, left = scheme["ids"], scheme["groups"]
    joined = {0: "no id was", 1: "1 id was"}.get(ids - left, f"{ids - left:,} ids were")
    named = f" ({first_shown(scheme['joined'])})" if scheme["joined"] else ""
    yield (
        f"{ids:,} ids make {left:,} groups: {joined} joined to another by {', '.join(what[:-1])} "
        f"or {what[-1]}{named}{unsearched}"
    )
    if near.get("listed_pairs"):
        yield (
            f"{near['listed_pairs']:,} pairs look alike but were not joined: near.csv and the "
            "report list them for you to judge"
        )


def _table_lines(tables: Mapping[str, Report]) -> Iterator[str]:
    """Count the rows of each of the user's tables that met an image, and the images without."""
    for flag, met in tables.items():
        columns = ", ".join(map(shown, met["columns"]))
        ways = "".join(f", {count:,} of them {way}" for way, count in met["ways"].items())
        yield (
            f"{flag} (columns {columns}): {met['met']:,} of {met['rows']:,} rows met an image"
            f"{ways}; {met['pictures_without']:,} of {met['pictures']:,} images have no row"
        )


def _count_lines(drawn: pd.DataFrame) -> list[str]:
    """Lay out images (groups) by class and split, and how many of each are originals."""
    splits = [split for split in SPLITS if (drawn["split"] == split).any()]
    used = drawn[drawn["split"].isin(splits)]
    inside = {split: used["split"] == split for split in splits}
    inside |= {"in a fold": used["fold"].notna()} if "fold" in used else {}
    by_class = list(used.groupby("label"))
    kinds = [(printable(str(label)), rows) for label, rows in by_class[:SHOWN_CLASSES]]
    if more := len(by_class) - len(kinds):
        kinds.append((f"and {more} more", used[:0]))
    kinds += [("all", used), ("originals", used[used["copy"].fillna(0) == 0])]
    table = [["images (groups)", *inside]]
    for name, rows in kinds:
        mine = (rows.loc[part[rows.index], "group"] for part in inside.values())
        cells = (f"{len(groups):,} ({groups.nunique():,})" for groups in mine)
        table.append([name, *(cells if len(rows) else [""] * len(inside))])
    wide = [max(map(display_width, column)) for column in zip(*table, strict=True)]
    return [
        (
            f"{name}{' ' * (wide[0] - display_width(name))}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, wide[1:], strict=True))
        ).rstrip()
        for name, *cells in table
    ]


def _leak_lines(drawn: pd.DataFrame, report: Report) -> Iterator[str]:
    """Say what is validation or unused, and what a random split would have leaked.

    Where groups are not known, nothing is said of the split drawn.
    """
    if (carved := report.get("carved")) and carved["pictures"]:
        yield (
            f"Validation: {carved['pictures']:,} images of {carved['groups']:,} groups were taken "
            "out of train for it, since train and one other split are all that was given (--no-val "
            "leaves them there)"
        )
    unused = drawn[drawn["split"] == UNUSED]
    if len(unused):
        kinds = unused["reason"].str.replace(r":.*$", "", regex=True).value_counts()
        named = [f"{plural(count, 'image')} ({kind})" for kind, count in sorted(kinds.items())]
        yield f"unused: {', '.join(named)}"
    if report["drawn"]["any"]["count"]:
        return
    random, known = report["random"], report["scheme"]["groups_known"]
    would = f"f the {random['test_pictures']:,} test images of a random split, {_counted(random)}"
    if random["any"]["count"]:
        yield f"No test image has a relative in train. O{would}" if known else f"O{would}"
    elif known:
        yield "No test image has a known relative in train, nor would in a random split"


def _leak_warnings(report: Report) -> Iterator[str]:
    """Warn of val and test images with relatives elsewhere, of test images in train last."""
    for key, held_out, seen in (("drawn_val", "val", "train"), ("drawn_test_val", "test", "val")):
        counts = report[key]
        if counts and counts["any"]["count"]:
            total = counts[f"{held_out}_pictures"]
            yield f"of {total:,} {held_out} images, {_counted(counts, seen)}"
    drawn = report["drawn"]
    reported = drawn["near"]["count"] if report["near"].get("reported_pairs") else 0
    if drawn["any"]["count"] > reported:  # which a warning of its own tells
        yield (
            f"the score will be too good. Of {drawn['test_pictures']:,} test images, "
            f"{_counted(drawn)}. Only --split grouped keeps them apart"
        )


def _counted(counts: Report, seen: str = "train") -> str:
    """Put the leaks of a split into words."""
    said = [
        f"{counts[kind]['count']:,} ({percent(counts[kind]['share'], ' ')}) have {what}"
        for kind, what in LEAKS.items()
        if kind in counts and counts[kind]["count"]
    ]
    return f"{', '.join(said)} in {seen}"


# ---------------------------------------------------------------- warnings


def warn(
    groups: Groups,
    images: pd.DataFrame,
    drawn: pd.DataFrame,
    near: NearDuplicates,
    tables: Tables,
    report: Report,
) -> list[str]:
    """List what else than its leaks a person must know before believing the split."""
    named = {flag: found.names for flag, found in tables.found.items()}
    return [
        *_group_warnings(groups, drawn),
        *tables.warnings(images["id"]),
        *split_warnings(images, drawn, report, named),
        *_pair_warnings(drawn, near.pairs),
        *kept_warnings(drawn, images, tables.earlier),
    ]


def doubts_about_groups(groups: Groups, so: str) -> Iterator[str]:
    """Warn of groups that are guessed or not known; `so` says what follows if they are wrong."""
    total, alone = len(groups.images), f"{EACH_ALONE} says that every image is a group of its own"
    if groups.guessed:
        whose = f" of {total - groups.listed:,} of {total:,} images" if groups.listed else ""
        yield (
            f"groups{whose} are a guess: {_example(groups)}. If it is wrong, {so}. Right? Add "
            f"--group-pattern {shlex.quote(groups.reading.pattern)}. Wrong? Give a table with "
            f"--groups FILE, or add {EACH_ALONE} if every image is a group of its own"
        )
        yield from _numbers_begin_anew(groups)
    if unknown := groups.unknown:
        whose = "" if unknown == total else f" of {unknown:,} of {total:,} images"
        proposal = shlex.quote(groups.reading.proposal)
        perhaps = f", perhaps --group-pattern {proposal}" if groups.reading.proposal else ""
        yield (
            f"the groups{whose} are not known: each of these {unknown:,} images counts as a group "
            f"of its own, and {so}. Say which images belong together with --groups FILE or "
            f"--group-pattern REGEX{perhaps}; {alone}"
        )


def _group_warnings(groups: Groups, drawn: pd.DataFrame) -> Iterator[str]:
    """Warn of groups that are guessed, not known or alike, and of copies left out by a guess."""
    scheme, pattern = groups.reading.scheme, groups.reading.pattern
    total = len(groups.images)
    yield from doubts_about_groups(
        groups, "images that belong together may stand in train and test"
    )
    left_out = int((drawn["reason"] == COPY_HELD_OUT).sum())
    if left_out and groups.reading.guessed:
        no_copies = shlex.quote(pattern.replace("(?P<copy>", "(?:"))
        yield (
            f"{left_out:,} images take part in nothing, since the guess takes them for copies of "
            "held-out originals. If they are images of their own, give --group-pattern "
            f"{no_copies}"
        )
    if groups.listed < total:
        ids = groups.images.loc[groups.images["group"] != groups.images["path"], "group"]
        yield from alike_notes(ids, f"by {scheme}")


def _example(groups: Groups) -> str:
    """Name an image with the group that was guessed for it."""
    for path, group in zip(groups.images["path"], groups.images["group"], strict=True):
        found = re.search(groups.reading.pattern, path)
        if found and found["group"] == group:
            return f"{path} was read as group {group}"
    return groups.reading.scheme


def _numbers_begin_anew(groups: Groups) -> Iterator[str]:
    """Warn where most guessed groups hold most classes, as if each class had its own P01."""
    read = groups.images[groups.images["fits"] & ~groups.images["listed"]]
    classes = read.groupby("group")["label"].nunique()
    spanning = classes > read["label"].nunique() / 2
    if read["label"].nunique() < 2 or spanning.mean() <= MOST:
        return
    apart = len(read[["label", "group"]].drop_duplicates())
    pattern = _with_class(groups.reading.pattern, read["path"])
    remedy = f"--group-pattern {shlex.quote(pattern)}" if pattern else "a table with --groups FILE"
    yield (
        f"{spanning.sum():,} of {len(classes):,} groups hold images of several classes. Do the "
        f"numbers begin anew in each class? Then these are {apart:,} groups: give {remedy}. It is "
        "right as it is if one patient or thing can have several classes"
    )


def _with_class(pattern: str, paths: Iterable[str]) -> str:
    """Let the group of a pattern begin with the class folder; empty where that needs a table."""
    head, _, rest = pattern.partition("(?P<group>")
    group, _, tail = rest.partition(")")
    if head == "^(?:[^/]+/){1}":  # the folders below the class
        return f"^(?P<group>[^/]+/{group}){tail}"
    if head.startswith(FILE_NAME) and all(path.count("/") == 1 for path in paths):
        return f"^(?P<group>[^/]+/{head.removeprefix(FILE_NAME)}(?:{group})){tail}"
    return ""


def split_warnings(
    images: pd.DataFrame, drawn: pd.DataFrame, report: Report, tables: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Warn of what is missing, of a given split, of near-duplicates and of large groups.

    `tables` holds, by flag, the paths in the user's tables.
    """
    here = set(images["path"])
    for flag, named in tables.items():
        if gone := [path for path in named if path not in here]:
            found = f"{len(gone):,} of {len(named):,} paths of {flag} are not in the folder"
            yield f"{found}: {first_shown(gone)}"
    yield from _given_warnings(drawn, report, by_folder=not tables.get("--use-split"))
    near, leaks = report["near"], report["drawn"]
    if near.get("reported_pairs"):
        named = report["scheme"]["listed"] == report["scheme"]["names"]
        remedy = "correct --groups" if named else "name the groups of all images with --groups FILE"
        yield (
            f"{near['reported_pairs']:,} pairs of near-duplicates were reported, not joined: "
            f"{near['not_joined_because']}. {leaks['near']['count']:,} of "
            f"{leaks['test_pictures']:,} test images have a near-duplicate in train. If these show "
            f"the same thing, the score will be too good: look at near.csv, and {remedy}"
        )
    for split, what in (("train", "learnt"), ("test", "tested")):
        labels = set(drawn["label"]) - set(drawn.loc[drawn["split"] == split, "label"])
        if labels:
            yield f"no image in {split} of {first_shown(sorted(labels))}: it can't be {what}"
    conflicts = images[images["conflict"] != ""]
    if len(conflicts):
        reasons = conflicts["conflict"].str.removeprefix(f"{CONFLICT}: ")
        both = [f"{p} ({r})" for p, r in zip(conflicts["path"], reasons, strict=True)]
        yield f"{len(both):,} images stand under two classes: {first_shown(both)}"
    group = report["largest_group"]
    total, share = round(group["photographs"] / group["share"]), percent(group["share"], " ", 0)
    if group["share"] > LARGE and total >= ENOUGH_TO_SAY:
        yield (
            f"group {group['name']} holds {group['photographs']:,} of {total:,} originals "
            f"({share}): if these do not belong together, correct it with --groups"
        )


def _given_warnings(drawn: pd.DataFrame, report: Report, *, by_folder: bool) -> Iterator[str]:
    """Warn of what a given split leaves out, and where a folder's own split is not taken as it is.

    `by_folder` tells that no table names the splits.
    """
    not_given = drawn.loc[drawn["reason"] == NOT_GIVEN, "path"].tolist()
    if not_given:
        yield f"{len(not_given):,} images are not in the given split: {first_shown(not_given)}"
    folders = drawn["path"].str.split("/", n=1).str[0].str.lower().map(SPLIT_FOLDER_NAMES)
    if report["strategy"] != "given" and folders.notna().all():
        yield (
            "the folder comes divided; its splits were put together and drawn anew (--split given "
            "keeps them)"
        )
    is_test = ((folders == "val") & (drawn["split"] == "test")).any()
    if report["strategy"] == "given" and by_folder and is_test and not (folders == "test").any():
        yield "there is no test split: the val split is the test split, and nothing is chosen by it"
    carved = report.get("carved")
    if carved and carved["missing"] and carved["pictures"]:
        yield (
            f"val holds no image of {first_shown(carved['missing'])}: train has too few groups of "
            "it to give one away"
        )
    elif carved and carved["missing"]:
        yield (
            "there is no val split, and none could be taken out of train, where every class has "
            "too few groups: nothing is chosen or calibrated, and the last epoch counts"
        )


def _pair_warnings(drawn: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[str]:
    """Warn of pairs that look alike, were not joined, and stand in train and a held-out split."""
    split = dict(zip(drawn["path"], drawn["split"], strict=True))
    weak = pairs[pairs["verdict"] == TO_JUDGE]
    crossing = [
        f"{one} and {other}"
        for one, other in zip(weak["path"], weak["other"], strict=True)
        if {split[one], split[other]} in ({"train", "test"}, {"train", "val"})
    ]
    if crossing:
        yield (
            "pairs that look alike but not enough to be joined stand in train and in val or test: "
            f"{first_shown(crossing)}. If they belong together, say so with --groups"
        )
