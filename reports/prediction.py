"""Say what a network answers to new images: classes with calibrated probabilities, and how many.

Where a class is the positive one it is answered from its threshold on, whatever is likeliest. The
tables keep the likeliest class in their column `predicted`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from resnext.contracts.formatting import percent, plural, printable
from resnext.contracts.threshold import (
    REFER,
    UNLIKE,
    answered_class,
    is_referred,
    is_unlike,
    possible_classes,
)

if TYPE_CHECKING:  # it takes a while to import, and one image is answered without it
    import pandas as pd

PREFIX = "calibrated_"
SHOWN = 200  # images that a summary names
FAULTS = 5  # files that it names among those that could not be read


class Answer(NamedTuple):
    """Hold the class that is answered, its calibrated probability 0..1, and what differs."""

    name: str
    probability: float
    note: str = ""
    """Which class would be likelier, where the threshold decides; else empty."""
    others: tuple[tuple[str, float], ...] = ()
    """The next classes with their probabilities, the likeliest first."""
    refer: bool = False
    """Whether it is too uncertain to be given."""
    possible: tuple[str, ...] = ()
    """The classes that the image may be of, the likeliest first; empty where that is not known."""

    def __str__(self) -> str:
        """Write it for a terminal."""
        ranked = [(self.name, self.probability), *self.others]
        shown = [f"{printable(name)} {percent(share, ' ')}" for name, share in ranked]
        said = f"{', '.join(shown)}{self.note}"
        if not self.refer:
            return said
        possible = f"; possible: {printable(', '.join(self.possible))}" if self.possible else ""
        return f"{REFER} (likeliest: {said}{possible})"


def answer_of(
    row: Mapping[str, Any] | pd.Series[Any], calibration: Mapping[str, Any] | None, top: int = 1
) -> Answer:
    """Read the answer off a row of batch_predictions.csv whose status is "ok".

    Args:
        row: Its columns `predicted` and `calibrated_<class>` are read.
        calibration: What calibration.json holds; None where there is none.
        top: How many classes to name.
    """
    shares = {name: float(row[f"{PREFIX}{name}"]) for name in classes_of(row)}
    return answer_from(shares, str(row["predicted"]), calibration, top)


def classes_of(row: Mapping[str, Any] | pd.Series[Any]) -> list[str]:
    """Name the classes that a row of batch_predictions.csv holds probabilities of."""
    names = (str(name) for name, _ in row.items())
    return [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]


def answer_from(
    shares: Mapping[str, float],
    likeliest: str,
    calibration: Mapping[str, Any] | None,
    top: int = 1,
) -> Answer:
    """Give the answer that calibrated probabilities by class lead to; see `answer_of`."""
    rule = calibration or {}
    name = answered_class(shares, likeliest, rule)
    certain = is_referred(shares[name], rule), possible_classes(shares, likeliest, rule)
    ranked = sorted((pair for pair in shares.items() if pair[0] != name), key=lambda each: -each[1])
    others = tuple(ranked[: top - 1])
    if name == likeliest:
        return Answer(name, shares[name], "", others, *certain)
    positive, threshold = rule["positive"], percent(rule["threshold"], " ")
    reason = f"counts from {threshold} on" if name == positive else f"is below {threshold}"
    note = f" ({printable(positive)} {reason}; likeliest: {printable(likeliest)})"
    return Answer(name, shares[name], note, others, *certain)


@dataclass
class BatchSummary:
    """Count what a batch was answered; `first` holds path and answer of the first images."""

    files: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """Path and reason of the first files that could not be read."""
    first: list[tuple[str, str]] = field(default_factory=list)
    referred: int = 0
    """Images whose answer is too uncertain to be given: they count in no class."""
    unlike: int = 0
    """Images that are unlike the training images, whatever they were answered."""

    @property
    def unread(self) -> int:
        """Count the files that could not be read."""
        return self.files - self.classes.total() - self.referred

    @property
    def unlike_in_words(self) -> str:
        """Say how many of the images that could be read are unlike; empty where none is."""
        if not self.unlike:
            return ""
        are = "is" if self.unlike == 1 else "are"
        return f"{self.unlike:,} of {plural(self.files - self.unread, 'image')} {are} {UNLIKE}"

    def __str__(self) -> str:
        """Say in a line how many images were called what."""
        said = [f"{printable(name)} {count}" for name, count in sorted(self.classes.items())]
        said += [f"{self.referred} referred"] if self.referred else []
        said += [f"{self.unread} could not be read"] if self.unread else []
        return f"{plural(self.files, 'image')}: {', '.join(said)}" if said else "no images"


def unlike(row: Mapping[str, str]) -> str:
    """Say that an image is unlike the training images; empty where it is not, or not known."""
    return UNLIKE if is_unlike(float(row.get("unlike_training") or "nan")) else ""


def summarise(
    rows: Iterable[Mapping[str, str]], calibration: Mapping[str, Any] | None, top: int = 1
) -> BatchSummary:
    """Summarise the rows of batch_predictions.csv, of which one is held at a time."""
    found = BatchSummary()
    for row in rows:
        found.files += 1
        if row["status"] == "ok":
            answer = answer_of(row, calibration, top)
            if answer.refer:
                found.referred += 1
            else:
                found.classes[answer.name] += 1
            found.notes.update(filter(None, row["note"].split("; ")))
            far = unlike(row)
            found.unlike += bool(far)
            text = "; ".join(filter(None, (str(answer), far)))
        else:
            text = f"no prediction: {printable(row['error'])}"
            if len(found.faults) < FAULTS:
                found.faults.append(f"{row['path']} ({row['error']})")
        if len(found.first) < SHOWN:
            found.first.append((row["path"], text))
    return found
