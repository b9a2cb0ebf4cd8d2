"""Say what a scan found: classes, formats, sizes, duplicates, and what can't be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from resnext.contracts.formatting import first_few, plural
from resnext.data.decoding.levels import describe_levels
from resnext.data.manifest.listing import Listing
from resnext.data.manifest.scan import Scan, name_faults

SHOWN = 20  # classes that are named


def describe_scan(found: Scan) -> list[str]:
    """Say in a few lines what was found in class folders."""
    manifest, faults = found.manifest, found.quarantine
    lines = [plural(len(manifest), "image")]
    lines[0] += _classes(manifest["label"].value_counts().sort_index())
    lines.append("; ".join(fact for fact in _facts(manifest) if fact))
    lines += _odd(found.odd)
    if len(faults):
        lines.append(f"{len(faults):,} quarantined: {name_faults(faults)}")
    return lines + describe_listing(found.listing)


def describe_listing(listing: Listing) -> list[str]:
    """Say what was left out of a folder, and what lies elsewhere."""
    lines = []
    if listing.left_out:
        entries = plural(listing.left_out, "hidden or system entry", "hidden or system entries")
        lines.append(f"{entries} left out")
    if listing.system:
        lines.append(f"of these the system's own: {_counted(listing.system.elements())}")
    return lines + _outside(listing)


def _classes(counts: pd.Series[int]) -> str:
    """Name classes with their counts, the first twenty of them, and how unequal they are."""
    named = first_few((f"{label} {count:,}" for label, count in counts.items()), most=SHOWN)
    ratio = counts.max() / counts.min()
    unequal = f" (the largest is {ratio:.1f} times the smallest)" if ratio >= 1.05 else ""
    return f" in {plural(len(counts), 'class', 'classes')}: {named}{unequal}"


def _facts(manifest: pd.DataFrame) -> list[str]:
    """Say which formats and sizes there are, and what is turned or there twice."""
    turned = int((manifest["orientation"] > 1).sum())
    surplus = int(manifest["sha256"].duplicated().sum())
    sets = manifest.loc[manifest["sha256"].duplicated(keep=False), "sha256"].nunique()
    sizes = manifest[["width", "height"]].drop_duplicates()
    sizes = sizes.assign(area=sizes["width"] * sizes["height"]).sort_values(["area", "width"])
    ends = [f"{row.width} x {row.height}" for row in sizes.iloc[[0, -1]].itertuples()]
    return [
        _counted(manifest["format"]),
        _counted(manifest["mode"]) if set(manifest["mode"]) != {"RGB"} else "",
        f"{' to '.join(dict.fromkeys(ends))} px",
        f"{turned:,} turned upright by their EXIF data" if turned else "",
        f"identical files: {plural(sets, 'set')}, {surplus:,} surplus" if surplus else "",
    ]


def _counted(values: Iterable[str]) -> str:
    """Count values, the commonest first."""
    counts = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{value} {count:,}" for value, count in counts)


def _odd(odd: pd.DataFrame) -> list[str]:
    """Say what is done with deep images, with files of several pages and with cut JPEGs."""
    lines = describe_levels(odd["measured"].tolist())
    if several := int((odd["pages"] > 1).sum()):
        files = plural(several, "file holds", "files hold")
        lines.append(f"{files} several pages or frames: the first is used")
    if cut := int((odd["cut"] != "").sum()):
        files = plural(cut, "truncated JPEG is", "truncated JPEGs are")
        lines.append(f"{files} kept: what is missing is grey")
    return lines


def _outside(listing: Listing) -> list[str]:
    """Say what lies elsewhere, through links; an image counts for the first link on its way."""
    links: Counter[str] = Counter()
    for path, *_ in listing.files if listing.outside else []:
        steps = path.split("/")
        ways = ("/".join(steps[:end]) for end in range(1, len(steps) + 1))
        links.update([way for way in ways if way in listing.outside][:1])
    if not links:
        return []
    files = plural(links.total(), "file lies", "files lie")
    link = min(links)
    return [
        f"{files} outside the folder, through {plural(len(links), 'link')}: "
        f"{link} leads to {listing.outside[link]}"
    ]
