"""Count what leaks from train to test across a split, and tell it in words.

Copies of a photograph, identical files and pictures of one group are counted, for the split that
was drawn and for a plain random one. Near-duplicates, which have other bytes, are not. It writes
no file.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from resnext.split.draw import OFFENDERS, PARTS, UNUSED, SplitSettings, split
from resnext.split.groups import read_names

USER_SHARES = (80.0, 0.0, 20.0)  # percent; what a plain random split takes


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
        "random": leakage(manifest, _script_split(manifest, settings), settings.group_pattern),
    }


def _script_split(manifest: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Draw the random split over all pictures that a plain script draws."""
    plain = {"strategy": "random", "shares": USER_SHARES}
    return split(manifest, settings.model_copy(update=plain))


# ---------------------------------------------------------------- words


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
        return [
            "No test picture has a relative in train. Of the "
            f"{random['test_pictures']:,} test pictures of a random split, {_leaks(random)}"
        ]
    return ["No test picture has a known relative in train, nor would in a random split"]


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
