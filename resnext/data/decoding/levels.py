"""Give deep images (16 and 32 bits, floating point) one scale for a whole set.

Each kind of number has one range for all images, so that a dark image stays darker than a bright
one. It follows from what `resnext.data.decoding.deep` measured of each image while it was read,
without a second look at a file; a model file keeps it for the images that the model is to answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from resnext.contracts.formatting import plural
from resnext.data.decoding.deep import DEFAULT, FLOAT, SIXTEEN, WHOLE, Range, fit_range, read_note

NAMES = {
    SIXTEEN: "16 bits",
    WHOLE: "signed or 32-bit whole numbers",
    FLOAT: "floating-point numbers",
}


class Levels(BaseModel):
    """Say which value becomes black and which white, by kind; None for a kind that the set lacks.

    An image of a kind that is None is scaled by `DEFAULT`.
    """

    model_config = ConfigDict(frozen=True)

    uint16: Range | None = None
    int32: Range | None = None
    float32: Range | None = None

    def of(self, kind: str) -> Range:
        """Give the values that become black and white."""
        found: Range | None = getattr(self, kind)
        return DEFAULT[kind] if found is None else found


def find_levels(measured: Iterable[str]) -> Levels:
    """Find the ranges of a set from what was noted of its images (`note`), empty text left out.

    16 bits are scaled by 65535, or by the bits that the whole set makes use of. Floating point
    within 0 and 1 stays so. Anything else is scaled by the range that the set has.
    """
    found: dict[str, list[Range]] = {}
    for text in filter(None, measured):
        kind, limits = read_note(text)
        found.setdefault(kind, []).append(limits)
    return Levels(**{kind: fit_range(kind, ranges) for kind, ranges in found.items()})


def describe_levels(measured: Iterable[str]) -> list[str]:
    """Say for each kind of deep image of a set how it is scaled, in a line."""
    texts = [text for text in measured if text]
    levels = find_levels(texts)
    counts = Counter(read_note(text)[0] for text in texts)
    return [
        f"{plural(counts[kind], f'image of {noun} is', f'images of {noun} are')} scaled "
        f"{_how(kind, levels)}"
        for kind, noun in NAMES.items()
        if kind in counts
    ]


def how_scaled(measured: str, levels: Levels) -> str:
    """Say how one deep image is scaled by the levels of the model that answers it."""
    kind, _ = read_note(measured)
    usual = "the usual way: the model was made without such images"
    why = usual if getattr(levels, kind) is None else "as those that the model was made with"
    return f"{NAMES[kind]}, scaled {_by(levels.of(kind))}, {why}"


def _how(kind: str, levels: Levels) -> str:
    limits = levels.of(kind)
    if limits == DEFAULT[kind]:
        return _by(limits)
    what = "depth that the set uses" if kind == SIXTEEN else "range that the set has"
    return f"{_by(limits)}, the {what}"


def _by(limits: Range) -> str:
    low, high = limits
    return f"by {high:.10g}" if low == 0 else f"from {low:.10g} to {high:.10g}"
