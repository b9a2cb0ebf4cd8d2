"""Say what is in the folder: how many images of which classes, formats and sizes.

It counts the rows of the manifest, which holds readable images only, and opens none.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from resnext.contracts.formatting import count, plural

NONE = "none"
ABOUT_EQUAL = 1.05
"""Up to so many times as large a class is about as large as another."""
MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "I;16": "grey of 16 bits",
    "RGBA": "RGB with transparency",
    "P": "palette",
}
"""Colour modes in words; any other one is called as it is."""


def facts(manifest: pd.DataFrame, quarantined: int) -> dict[str, str]:
    """Give the facts about the folder by name, in the order of reading.

    Columns: label, sha256, format, mode, width, height, orientation.
    """
    found = {"Images": count(len(manifest)), "Classes": count(manifest["label"].nunique())}
    unusable = {"Unusable files": count(quarantined) if quarantined else NONE}
    if not len(manifest):
        return found | unusable
    modes = [(MODES.get(mode, mode), number) for mode, number in tally(manifest["mode"])]
    copies = manifest["sha256"].value_counts()
    again = copies[copies > 1]
    surplus = f"{plural((again - 1).sum(), 'surplus file')} in {plural(len(again), 'set')}"
    turned = int((manifest["orientation"] > 1).sum())
    return {
        **found,
        "Imbalance": imbalance(manifest["label"]),
        "Formats": _listed(tally(manifest["format"])),
        "Sizes": image_sizes(manifest),
        **({} if [name for name, _ in modes] == ["RGB"] else {"Colours": _listed(modes)}),
        "Turned upright (EXIF)": plural(turned, "image") if turned else NONE,
        "Identical files": surplus if len(again) else NONE,
        **unusable,
    }


def imbalance(labels: pd.Series[str]) -> str:
    """Say how many times the smallest class the largest one is, the first ones of equals."""
    sizes = tally(labels)
    (most, largest), smallest = sizes[0], min(number for _, number in sizes)
    if len(sizes) == 1:
        return "there is one class only"
    if largest == smallest:
        return f"none, {plural(largest, 'image')} each"
    fewest = next(name for name, number in sizes if number == smallest)
    if largest < ABOUT_EQUAL * smallest:
        return f"hardly any, {count(smallest)} to {count(largest)} images each"
    return (
        f"“{most}” is {largest / smallest:.1f} times as large as “{fewest}” "
        f"({count(largest)} against {count(smallest)})"
    )


def image_sizes(manifest: pd.DataFrame) -> str:
    """Say which size the upright images have, or the smallest, largest and middle one by area.

    Of an even number of images the smaller one of the two in the middle is named.
    """
    lying = manifest["orientation"] >= 5  # stored on their side
    widths = manifest["width"].where(~lying, manifest["height"])
    heights = manifest["height"].where(~lying, manifest["width"])
    sizes = sorted(zip(widths, heights, strict=True), key=lambda size: (size[0] * size[1], size))
    if len(set(sizes)) == 1:
        return f"{_pixels(sizes[0])}, all of them" if len(sizes) > 1 else _pixels(sizes[0])
    middle = sizes[(len(sizes) - 1) // 2]
    return f"{_pixels(sizes[0])} to {_pixels(sizes[-1])}, median {_pixels(middle)}"


def tally(names: pd.Series[str]) -> list[tuple[str, int]]:
    """Count names, the commonest first, equals by name."""
    tally = [(str(name), int(number)) for name, number in names.value_counts().items()]
    return sorted(tally, key=lambda row: (-row[1], row[0]))


def _listed(names: list[tuple[str, int]]) -> str:
    """List names with their counts."""
    return ", ".join(f"{name} {count(number)}" for name, number in names)


def _pixels(size: tuple[Any, Any]) -> str:
    """Write a size (width, height) in pixels, which no line break divides."""
    return f"{size[0]}\u00a0x\u00a0{size[1]}\u00a0px"
