"""Tell in words what a scan found: classes, formats, sizes, duplicates, and what can't be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from resnext.contracts.formatting import first_few
from resnext.data.decoding.levels import Levels, describe_levels
from resnext.data.manifest.listing import Listing

SHOWN = 20  # classes that are named
UPRIGHT = 1  # EXIF orientation


def describe_scan(
    manifest: pd.DataFrame, quarantine: pd.DataFrame, left_out: int, notes: Sequence[str] = ()
) -> str:
    """Tell in a few lines what was found; labels may be empty. `notes` are lines to add."""
    counts = manifest["label"].value_counts().sort_index()
    lines = [f"{len(manifest):,} pictures"]
    if counts.index.tolist() not in ([], [""]):
        lines = [f"{len(manifest):,} pictures in {len(counts)} classes: {_classes(counts)}"]
    if len(manifest):
        lines.append("; ".join(fact for fact in _facts(manifest) if fact))
    lines += notes
    if len(quarantine):
        lines.append(f"{len(quarantine):,} quarantined: {name_faults(quarantine)}")
    if left_out:
        lines.append(f"{left_out:,} hidden or system files and folders left out")
    return "\n".join(lines)


def notes_of(listing: Listing) -> list[str]:
    """Say what was left out as the system's own, and what lies elsewhere, through links."""
    notes = []
    if listing.system:
        notes.append(f"of these the system's own: {_counted(listing.system.elements())}")
    if listing.outside:
        link, target = min(listing.outside.items())
        links = len(listing.outside)
        notes.append(
            f"{listing.files_outside:,} files lie outside the folder, through {links:,} "
            f"{'link' if links == 1 else 'links'}: {link} leads to {target}"
        )
    return notes


def describe_odd(odd: pd.DataFrame, levels: Levels | None = None) -> list[str]:
    """Say what is done with deep images, with files of several pages and with JPEGs without an end.

    `odd` is that of a `Scan`; `levels` are those of the model that is to answer, if one is.
    """
    several = int((odd["pages"] > 1).sum())
    cut = int((odd["cut"] != "").sum())
    lines = describe_levels(odd["measured"].tolist(), levels)
    if several:
        noun = "file holds" if several == 1 else "files hold"
        lines.append(f"{several:,} {noun} several pages or frames: the first is used")
    if cut:
        noun = "JPEG without its end is" if cut == 1 else "JPEGs without their ends are"
        lines.append(f"{cut:,} truncated {noun} kept: what is missing is grey")
    return lines


def name_faults(quarantine: pd.DataFrame) -> str:
    """Name the first quarantined paths with their reasons."""
    rows = zip(quarantine["path"], quarantine["reason"], strict=True)
    return first_few((f"{path} ({reason})" for path, reason in rows), "; ")


def _classes(counts: pd.Series[int]) -> str:
    """Name classes with their counts, the first twenty of them, and how unequal they are."""
    named = first_few((f"{label} {count:,}" for label, count in counts.items()), most=SHOWN)
    ratio = counts.max() / counts.min()
    unequal = f" (the largest is {ratio:.1f} times the smallest)" if ratio >= 1.05 else ""
    return named + unequal


def _facts(manifest: pd.DataFrame) -> list[str]:
    """Say which formats and sizes there are, and what is turned or there twice."""
    turned = int((manifest["orientation"] != UPRIGHT).sum())
    surplus = int(manifest["sha256"].duplicated().sum())
    alike = manifest.loc[manifest["sha256"].duplicated(keep=False), "sha256"]
    sets = alike.nunique()
    noun = "set" if sets == 1 else "sets"
    return [
        _counted(manifest["format"]),
        _counted(manifest["mode"]) if manifest["mode"].unique().tolist() != ["RGB"] else "",
        _sizes(manifest),
        f"{turned:,} turned upright by their EXIF data" if turned else "",
        f"identical files: {sets:,} {noun}, {surplus:,} surplus" if surplus else "",
    ]


def _counted(values: Iterable[str]) -> str:
    """Count values, the commonest first."""
    counts = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{value} {count:,}" for value, count in counts)


def _sizes(manifest: pd.DataFrame) -> str:
    """Name the one size in pixels, or the smallest and the largest by area."""
    sizes = manifest[["width", "height"]].drop_duplicates()
    sizes = sizes.assign(area=sizes["width"] * sizes["height"]).sort_values(["area", "width"])
    ends = [
        f"{width} x {height}" for width, height in zip(sizes["width"], sizes["height"], strict=True)
    ]
    return f"{ends[0]} px" if len(ends) == 1 else f"{ends[0]} to {ends[-1]} px"
