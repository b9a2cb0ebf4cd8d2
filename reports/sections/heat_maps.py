"""Lay out mistakes and right answers with heat maps of where the network looked.

What it shows was computed and drawn before, in explained.json. Pictures come as data: URIs;
anything else in their place is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from reports.sections.similar_images import describe_extent, thumbnail
from resnext.contracts.formatting import percent, undefined

ALARMING = 1.25
"""From so many times an even map's share on, heat at the border is warned of."""
COARSE = 4
"""With fewer places a side than this, a map can't show a lesion."""


class View(NamedTuple):
    """Hold one small picture with what it shows."""

    source: str
    """A data: URI, empty where there is none."""
    title: str
    alternative: str


@dataclass(frozen=True)
class ExplainedImage:
    """Hold one test picture with its maps, as the page shows it."""

    name: str
    label: str
    predicted: str
    confidence: str
    views: tuple[View, ...]
    error: str

    @property
    def wrong(self) -> bool:
        """Tell whether the network was mistaken."""
        return self.label != self.predicted


@dataclass(frozen=True)
class HeatMaps:
    """Hold what a reader sees of single pictures."""

    mistakes: tuple[ExplainedImage, ...]
    right: tuple[ExplainedImage, ...]
    extent: str
    """How many of how many mistakes are shown."""
    coarse: str
    """How many places a map tells apart, where those are few; else empty."""
    border: str
    """How much of the heat lies at the border; empty where unknown."""


def lay_out(explained: Mapping[str, Any] | None, confusion: pd.DataFrame) -> HeatMaps | None:
    """Lay out explained.json beside the confusion matrix; None where nothing was explained."""
    if explained is None:
        return None
    counts = confusion.to_numpy()
    images = [_explained_image(entry) for entry in explained["pictures"]]
    mistakes = tuple(image for image in images if image.wrong)
    return HeatMaps(
        mistakes=mistakes,
        right=tuple(image for image in images if not image.wrong),
        extent=describe_extent(
            len(mistakes), int(counts.sum() - counts.trace()), "mistake", "predictions.csv"
        ),
        coarse=_coarse(explained["cells"]),
        border=_border(explained["border_share"], explained["even_border_share"]),
    )


def _explained_image(entry: Mapping[str, Any]) -> ExplainedImage:
    label, predicted = str(entry["label"]), str(entry["predicted"])
    name = str(entry["path"]).removeprefix(f"{label}/")
    wrong = label != predicted
    views = [
        _view(entry["thumbnail"], "the picture", f"Thumbnail of {name}"),
        _view(entry["heat"], f"for “{predicted}”", f"Heat map of {name} for class {predicted}"),
    ]
    if wrong:
        words = f"Heat map of {name} for class {label}"
        views.append(_view(entry["heat_true"], f"for “{label}”", words))
    confidence = percent(entry["confidence"])
    return ExplainedImage(
        name, label, predicted, confidence, tuple(views), str(entry["error"] or "")
    )


def _view(source: object, title: str, alternative: str) -> View:
    return View(thumbnail(source), title, alternative)


def _coarse(cells: int) -> str:
    if not 0 < cells < COARSE:
        return ""
    places = "one single place" if cells == 1 else f"no more than {cells} by {cells} places"
    return (
        f"These maps are coarse: at this image size the network tells apart {places} of a "
        "picture. A larger --image-size, such as 224, shows more."
    )


def _border(share: float | None, even: float) -> str:
    if undefined(share) or share is None:
        return ""
    outer = f"{percent(share)} of the heat lies in the outer tenth of each side"
    if share >= ALARMING * even:
        return (
            f"{outer}, where an even map has {percent(even)}. Please check whether the "
            "network goes by borders, such as black corners."
        )
    return f"{outer}; an even map has {percent(even)} there."
