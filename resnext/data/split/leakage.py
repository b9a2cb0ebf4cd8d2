"""Count what leaks from train to test, and choose the pairs of images that a person should see.

Copies of an original, identical files, near-duplicates and images of one group are counted, for
a split and for the plain random one that a script would draw. It draws no split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.split.describe import evidence_of
from resnext.data.split.duplicates import JOINED, REPORTED, TO_JUDGE, NearDuplicates
from resnext.data.split.groups import Groups
from resnext.data.split.settings import SplitSettings
from resnext.data.thumbnails import as_uri, shrink

KINDS = {"copy": "original", "exact": "sha256", "near": "cluster", "group": "group"}
WORST = ("exact", "near", "copy", "group")  # the plainest evidence first
SIDE = 160  # pixels of a thumbnail's longer side
EACH = 4  # pairs of one kind that cross
MOST_CLASSES = 12  # of which one such pair is shown, where there are more classes than EACH
MOST = {JOINED: 8, TO_JUDGE: 12, REPORTED: 8}  # pairs of a verdict that are shown

Pair: TypeAlias = dict[str, Any]
Cards: TypeAlias = dict[str, list[Pair]]


# ---------------------------------------------------------------- counts


def count_leaks(
    images: pd.DataFrame, drawn: pd.DataFrame, held_out: str = "test", seen: str = "train"
) -> dict[str, Any]:
    """Count the held-out images that have something of themselves in what was seen.

    `images` holds path, sha256, original, cluster, group; `drawn` path and split. `copy`: another
    file of the same original; `exact`: a file with the same bytes; `near`: a near-duplicate with
    other bytes; `group`: an image of the same group; `any`: at least one of these. Shares are of
    the held-out images, 0..1, null where there is none.
    """
    rows = images.merge(drawn[["path", "split"]], on="path", validate="1:1")
    there, here = rows[rows["split"] == seen], rows[rows["split"] == held_out]
    crossing = pd.DataFrame({kind: crosses(here, there, kind) for kind in KINDS})
    crossing["any"] = crossing.any(axis=1)
    counts = {str(kind): int(count) for kind, count in crossing.sum().items()}
    return _with_shares(f"{held_out}_pictures", len(here), counts)


def add_leaks(counted: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up what `count_leaks` gave for several splits, which test other images."""
    total, *kinds = counted[0]
    counts = {kind: sum(each[kind]["count"] for each in counted) for kind in kinds}
    return _with_shares(total, sum(each[total] for each in counted), counts)


def _with_shares(name: str, total: int, counts: Mapping[str, int]) -> dict[str, Any]:
    return {name: total} | {
        kind: {"count": count, "share": count / total if total else None}
        for kind, count in counts.items()
    }


def crosses(here: pd.DataFrame, there: pd.DataFrame, kind: str) -> pd.Series[bool]:
    """Tell which images here have a relative of one kind (`KINDS`) there."""
    column = KINDS[kind]
    if kind != "near":
        return here[column].isin(there[column])
    others = there.drop_duplicates(["cluster", "sha256"])["cluster"].value_counts()
    same = here["sha256"].isin(there["sha256"]).astype(int)
    return (here["cluster"] != "") & (here["cluster"].map(others).fillna(0) > same)


def report_leakage(
    groups: Groups,
    images: pd.DataFrame,
    found: NearDuplicates,
    near: NearDuplicates,
    settings: SplitSettings,
    drawn: Sequence[pd.DataFrame],
    random: pd.DataFrame,
) -> dict[str, Any]:
    """Lay out what leakage.json always holds, but for the warnings.

    `near` holds those of the near-duplicates `found` that were joined; what was not may leak too.
    Of several splits `drawn`, which test an image each once, the counts are sums.
    """
    audited = images.assign(cluster=found.cluster_of(images))
    has_val, is_searched = (drawn[0]["split"] == "val").any(), settings.near_duplicates != "off"

    def count(splits: Sequence[pd.DataFrame], *which: str) -> dict[str, Any]:
        counts = add_leaks([count_leaks(audited, split, *which) for split in splits])
        return {kind: n for kind, n in counts.items() if is_searched or kind != "near"}

    return {
        "strategy": settings.strategy,
        "fold": "{}/{}".format(*settings.fold) if settings.fold else None,
        **({"folds": settings.folds} if settings.folds else {}),
        "scheme": _scheme(images, groups),
        "near": _count_pairs(near) if is_searched else {"searched": False},
        "largest_group": _largest_group(images),
        "drawn": count(drawn),
        "drawn_val": count(drawn, "val", "train") if has_val else None,
        "drawn_test_val": count(drawn, "test", "val") if has_val else None,
        "random": count([random]),
    }


def _count_pairs(near: NearDuplicates) -> dict[str, Any]:
    """Count the pairs of near-duplicates by verdict; those only reported where there are some."""
    counts = {name: int((near.pairs["verdict"] == name).sum()) for name in MOST}
    found: dict[str, Any] = {
        f"{name}_pairs": count for name, count in counts.items() if count or name != REPORTED
    }
    return found | ({"not_joined_because": near.not_joined} if near.not_joined else {})


def _scheme(images: pd.DataFrame, groups: Groups) -> dict[str, Any]:
    """Say by which names groups were found, how many there are and which were joined."""
    of_ids = images.drop_duplicates(["group", "id"])["group"]
    return {
        "name": groups.reading.scheme or None,
        "evidence": evidence_of(groups),
        "pattern": groups.reading.pattern or None,
        "proposal": groups.reading.proposal or None,
        "guessed": groups.guessed,
        "groups_known": not groups.guessed and not groups.unknown,
        "fits": groups.fits,
        "listed": groups.listed,
        "unknown": groups.unknown,
        "names": len(images),
        "ids": groups.ids,
        "groups": int(images["group"].nunique()),
        "joined": sorted(of_ids[of_ids.duplicated()].unique()),
        "decided": bool((images["decided"] != "").any()),
    }


def _largest_group(images: pd.DataFrame) -> dict[str, Any]:
    """Name the group with the most originals (copies and identical files apart)."""
    originals = images.drop_duplicates(["group", "original"]).drop_duplicates("sha256")
    sizes = originals["group"].value_counts().sort_index()
    largest = int(sizes.max())
    name = str(sizes.idxmax())
    return {
        "name": name,
        "ids": sorted(images.loc[images["group"] == name, "id"].unique()),
        "photographs": largest,
        "share": largest / int(sizes.sum()),
    }


# ---------------------------------------------------------------- pairs to look at


def pairs_to_look_at(
    root: Path,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    drawn: pd.DataFrame,
    random: pd.DataFrame,
    levels: Levels = Levels(),
) -> Cards:
    """List the worst pairs, each with two thumbnails as data URIs.

    `crossing`: on both sides of the split; `random`: on both sides of a plain random split, where
    nothing crosses; `joined`: near-duplicates taken for one image, the least alike first and
    those of two classes before all; `reported`, where there are some: the same, but not joined;
    `listed`: weaker pairs, the most alike first.

    Raises:
        InputError: an image changed since the scan.
    """
    crossing = _crossing(images, drawn, "test") or _crossing(images, drawn, "val")
    chosen = {
        "crossing": crossing,
        "random": [] if crossing else _crossing(images, random, "test"),
        **{verdict: _of_verdict(pairs, verdict) for verdict in MOST},
    }
    if not chosen[REPORTED]:
        del chosen[REPORTED]
    known = images.set_index("path")[["label", "sha256"]].to_dict("index")
    splits = {"random": dict(zip(random["path"], random["split"], strict=True))}
    of_drawn = dict(zip(drawn["path"], drawn["split"], strict=True))

    @cache
    def thumbnail(path: str) -> str:
        return as_uri(shrink(read_scanned(root / path, known[path]["sha256"], levels), SIDE))

    def card(pair: Pair, split: Mapping[str, str]) -> Pair:
        one, other = pair["path"], pair["other"]
        return {
            "kind": pair["kind"],
            "path": one, "label": known[one]["label"], "part": split[one],
            "other": other, "other_label": known[other]["label"], "other_part": split[other],
            "detail": pair["detail"],
            "picture": thumbnail(one), "other_picture": thumbnail(other),
        }  # fmt: skip

    return {
        name: [card(pair, splits.get(name, of_drawn)) for pair in found]
        for name, found in chosen.items()
    }


def _crossing(images: pd.DataFrame, split: pd.DataFrame, held_out: str) -> list[Pair]:
    """Pair held-out images with a relative in train, some of each kind and class, each once."""
    rows = images.merge(split[["path", "split"]], on="path", validate="1:1")
    train, here = rows[rows["split"] == "train"], rows[rows["split"] == held_out]
    found: list[Pair] = []
    for kind in WORST:
        crossing = here[crosses(here, train, kind)]
        if kind in ("exact", "near"):  # what is shown by these needs no weaker evidence
            here = here.drop(crossing.index)
        crossing = _of_every_class(crossing.drop_duplicates(KINDS[kind]))
        found += [
            {
                "kind": kind,
                "path": row["path"],
                "other": _relative(row, train, kind),
                "detail": "" if kind == "exact" else f"group {row['group']}",
            }
            for _, row in crossing.iterrows()
        ]
        here = here[~here["path"].isin(crossing["path"])]
    return found


def _of_every_class(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the first rows of each class in turn, EACH in all or one of every class."""
    turn = rows.groupby("label").cumcount().sort_values(kind="stable")
    return rows.loc[turn.index].head(max(EACH, min(rows["label"].nunique(), MOST_CLASSES)))


def _relative(row: pd.Series[Any], train: pd.DataFrame, kind: str) -> str:
    """Give the first relative of an image; of its group, rather one of another original."""
    related = train[train[KINDS[kind]] == row[KINDS[kind]]]
    if kind == "near":
        related = related[related["sha256"] != row["sha256"]]
    elif kind == "group":
        related = related.assign(same=related["original"] == row["original"])
        related = related.sort_values("same", kind="stable")
    return str(related["path"].iloc[0])


def _of_verdict(pairs: pd.DataFrame, verdict: str) -> list[Pair]:
    """Take the pairs of one verdict that most need to be seen."""
    found = pairs[pairs["verdict"] == verdict]
    if verdict != TO_JUDGE:
        found = found.assign(same=found["label"] == found["other_label"])
        found = found.sort_values(["same", "correlation", "path"])
    rows = found.head(MOST[verdict]).to_dict("records")
    return [
        {
            "kind": "weak" if verdict == TO_JUDGE else "near",
            "path": row["path"],
            "other": row["other"],
            "detail": f"correlation {row['correlation']:.3f}, {row['orientation']}",
        }
        for row in rows
    ]
