"""Prepare figures for a page: title, caption, words for those who can't see them, and size.

The figures come drawn, as PNG or SVG. It draws none and computes nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from reports.division import validation_name
from resnext.contracts.formatting import count, percent, plural, undefined

CAPTIONS = {
    "curves": (
        "Learning curves",
        "Accuracy and loss after each epoch. Where the training line goes on improving and the "
        "other does not, the network is learning the training pictures by heart. A marked epoch is "
        "the one whose weights were kept. The validation part chose it, which makes its figures "
        "there too good: they are no score.",
    ),
    "confusion": (
        "Confusion matrix",
        "Test pictures by true class (rows) and predicted class (columns). Right answers stand on "
        "the diagonal; the colour is the share of the true class.",
    ),
    "per_class": (
        "Scores by class",
        "Each figure of a class with its 95 % interval. Where intervals overlap, classes may well "
        "be told equally well.",
    ),
    "roc": (
        "ROC curve",
        "The share of a class that is found against the share of other pictures that are taken for "
        "it, at every threshold. The band is the 95 % interval; the diagonal is chance.",
    ),
    "precision_recall": (
        "Precision and recall",
        "How many of the pictures given a class are of it, against the share of the class that is "
        "found. Chance is the share of the class.",
    ),
    "reliability": (
        "Reliability",
        "How often the network is right against how sure it says it is: on the diagonal, 80 % sure "
        "means right in 80 of 100. Calibrated probabilities are those of new pictures.",
    ),
    "confidences": (
        "Confidence",
        "How sure the network was of its answers, right ones and wrong ones.",
    ),
}
"""Title and caption of the figures that are known, by stem."""


@dataclass(frozen=True)
class ShownFigure:
    """Hold a figure as the page shows it."""

    title: str
    caption: str
    source: str
    """A data: URI."""
    alternative: str
    width: int
    """In CSS pixels at natural size; 0 where unknown."""

    @property
    def legible_width(self) -> int:
        """How narrow it may be shown (CSS pixels) before it is scrolled instead."""
        if self.width > 1200:
            return self.width
        return 540 if self.width > 480 else min(self.width, 300)


def shown_figures(
    figures: Mapping[str, bytes | str],
    history: pd.DataFrame,
    confusion: pd.DataFrame,
    split: pd.DataFrame,
) -> list[ShownFigure]:
    """Prepare figures, by stem a PNG file's bytes or an SVG file's text, in their order."""
    described = {
        "curves": describe_curves(history, validation_name(split).lower()),
        "confusion": describe_confusion(confusion),
    }
    return [_shown(stem, data, described.get(stem)) for stem, data in figures.items()]


def describe_curves(history: pd.DataFrame, name: str) -> str:
    """Say in words where the learning curves end; `name` is that of the part beside train."""
    if history.empty:
        return "Learning curves without an epoch."
    last = history.iloc[-1]
    ends = f"train accuracy {percent(last['train_accuracy'])}"
    if not undefined(last["val_accuracy"]):
        ends += f", {name} accuracy {percent(last['val_accuracy'])}"
    return f"Learning curves over {plural(len(history), 'epoch')}. At the end: {ends}."


def describe_confusion(confusion: pd.DataFrame) -> str:
    """Say in words how many pictures stand on the diagonal of the confusion matrix."""
    counts = confusion.to_numpy()
    return (
        f"Confusion matrix of {plural(len(counts), 'class', 'classes')}: "
        f"{count(counts.trace())} of {plural(int(counts.sum()), 'test picture')} on the diagonal."
    )


def _shown(stem: str, data: bytes | str, described: str | None) -> ShownFigure:
    """Prepare one figure; in the words of its caption where it has none of its own."""
    title, caption = CAPTIONS.get(stem, (stem.replace("_", " ").capitalize(), ""))
    alternative = described or f"Figure: {title}. {caption}".strip()
    return ShownFigure(title, caption, _data_uri(data), alternative, _natural_width(data))


def _data_uri(data: bytes | str) -> str:
    """Put a picture into an address, so that the file needs no other one."""
    kind = "image/svg+xml" if isinstance(data, str) else "image/png"
    encoded = base64.b64encode(data.encode("utf-8") if isinstance(data, str) else data)
    return f"data:{kind};base64,{encoded.decode('ascii')}"


def _natural_width(data: bytes | str) -> int:
    """Read how wide a figure is meant to be in CSS pixels (96 an inch); 0 where unknown."""
    if isinstance(data, str):
        words: Iterable[str] = data[:2000].split('width="')[1:2]
        points = [word.split('pt"')[0] for word in words]
        return round(float(points[0]) * 96 / 72) if points and _is_number(points[0]) else 0
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return 0
    return round(int.from_bytes(data[16:20], "big") * 96 / 150)


def _is_number(text: str) -> bool:
    """Tell whether a text is a plain decimal number."""
    return text.replace(".", "", 1).isdecimal()
