"""Say what to do where a figure calls for it: a record for each advice, the gravest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from reports.parts import validation_name
from reports.sections import doubts, score, shortcuts, split
from resnext.contracts.formatting import percent, plural
from resnext.contracts.heat_maps import COARSE

if TYPE_CHECKING:
    from reports.content import ReportContent

LARGER = 3
"""From so many times as many training images on, one class outweighs another."""
FEWEST_EPOCHS = 5
"""With fewer epochs the last one is often the best, whatever comes next."""
WORSE = 0.01
"""By so much, as a share, the calibration error must grow to be spoken of."""


@dataclass(frozen=True)
class Advice:
    """Hold what calls for a piece of advice, and the flag that follows it."""

    name: str
    words: Callable[[ReportContent], str]
    """Says what was found and what it means; empty where there is nothing to say."""
    flag: str
    """What to type."""
    effect: str
    """What the flag does, as in "trains for longer"."""


def advise(content: ReportContent) -> list[dict[str, str]]:
    """Give the advice that this report calls for, the gravest first: words, flag, effect.

    A flag is advised once, for the gravest reason.
    """
    found: dict[str, dict[str, str]] = {}
    for each in ADVICE:
        if each.flag not in found and (words := each.words(content)):
            found[each.flag] = {"words": words, "flag": each.flag, "effect": each.effect}
    return list(found.values())


def _leak(content: ReportContent) -> str:
    drawn = (content.leakage or {}).get("drawn") or {}
    leaks = drawn.get("any") or {"count": 0}
    if not leaks["count"]:
        return ""
    have = "has a relative" if leaks["count"] == 1 else "have relatives"
    return (
        f"{plural(leaks['count'], 'test image')} {have} in train, which makes the score too good."
    )


def _doubts(content: ReportContent) -> str:
    warning = doubts.warning(content.doubts)
    return f"{warning} doubts.html shows them." if warning else ""


def _collapse(content: ReportContent) -> str:
    return score.only_answer(content.per_class)


def _few_groups(content: ReportContent) -> str:
    metrics = content.metrics
    if not metrics.get("few_groups") or metrics.get("folds"):
        return ""
    return "So few groups were tested that chance decides much of the score."


def _shortcut(content: ReportContent) -> str:
    return "" if _stated(content) else shortcuts.short_warning(content.shortcuts)


def _shortcut_in_spite(content: ReportContent) -> str:
    return shortcuts.short_warning(content.shortcuts) if _stated(content) else ""


def _stated(content: ReportContent) -> bool:
    """Tell whether a table of the user's says of which sites, cameras and so on the images are."""
    return bool((content.subgroups or {}).get("stated"))


def _unknown_groups(content: ReportContent) -> str:
    unknown = split.unknown_groups(content.leakage)
    return "Which images belong together is not known for all of them." if unknown else ""


def _still_rising(content: ReportContent) -> str:
    measured = content.history.dropna(subset=["val_accuracy", "val_loss"])
    if len(measured) < FEWEST_EPOCHS:
        return ""
    accuracy, loss = measured["val_accuracy"], measured["val_loss"]
    if accuracy.iloc[-1] <= accuracy.iloc[:-1].max() or loss.iloc[-1] >= loss.iloc[:-1].min():
        return ""
    part = validation_name(content.split).lower()
    return (
        f"Accuracy and loss of the {part} part were best at the last of {len(measured)} epochs: "
        "the training ended too early."
    )


def _imbalance(content: ReportContent) -> str:
    trained = content.split.loc[content.split["split"] == "train", "label"].value_counts()
    recall = content.per_class.set_index("class")["recall"]
    if len(trained) < 2 or trained.iloc[0] < LARGER * trained.iloc[-1]:
        return ""
    most, fewest = str(trained.index[0]), str(trained.index[-1])
    if not recall.get(fewest, 1.0) < recall.get(most, 0.0):
        return ""
    return (
        f"“{fewest}” has {trained.iloc[-1]} training images against {trained.iloc[0]} of “{most}”, "
        f"and is found less often ({percent(recall[fewest])} against {percent(recall[most])})."
    )


def _worse_calibrated(content: ReportContent) -> str:
    before, after = calibration_errors(content.reliability)
    if not after > before + WORSE:
        return ""
    return (
        f"The temperature made the probabilities worse: the calibration error is {percent(after)} "
        f"after it and {percent(before)} before. It was fitted on too few images, or on others."
    )


def _uncalibrated(content: ReportContent) -> str:
    if content.metrics.get("folds"):
        return ""
    return score.unusable(content.metrics, content.calibration)


def calibration_errors(reliability: pd.DataFrame | None) -> tuple[float, float]:
    """Give the expected calibration error before and after the temperature; NaN where unknown."""
    return _error(reliability, "before"), _error(reliability, "after")


def _error(reliability: pd.DataFrame | None, when: str) -> float:
    from reports.figures.reliability import calibration_error

    if reliability is None:
        return float("nan")
    return calibration_error(reliability[(reliability["when"] == when) & (reliability["n"] > 0)])


def _coarse(content: ReportContent) -> str:
    cells = (content.explained or {}).get("cells", 0)
    if not content.pictures or not 0 < cells < COARSE:
        return ""
    return "At this image size the network can't show where it looked."


def _conflicts(content: ReportContent) -> str:
    found = split.label_conflicts(content.split)
    if not found:
        return ""
    return f"{plural(len(found), 'image')} left out, since the same image is in two classes."


ADVICE = (
    Advice("leak", _leak, "--split grouped", "keeps each group on one side"),
    Advice("doubts", _doubts, "--decisions FILE", "says which pairs are one, or drops an image"),
    Advice("collapse", _collapse, "--preset transfer", "trains a small head on a frozen network"),
    Advice("few groups", _few_groups, "--folds 5", "tests every image once"),
    Advice("shortcut", _shortcut, "--attributes FILE", "scores sites, cameras and so on apart"),
    Advice(
        "shortcut, scored apart",
        _shortcut_in_spite,
        "--groups FILE",
        "with a site or camera for a group tests on others than were trained on",
    ),
    Advice("unknown groups", _unknown_groups, "--groups FILE", "says which images belong together"),
    Advice("still rising", _still_rising, "--epochs N", "trains for longer"),
    Advice("imbalance", _imbalance, "--class-weights balanced", "counts rare classes for more"),
    Advice("calibration", _worse_calibrated, "--folds 5", "fits it on the answers to all images"),
    Advice(
        "far off", _uncalibrated, "--folds 5", "fits a temperature on the answers to all images"
    ),
    Advice("heat maps", _coarse, "--image-size 224", "gives heat maps that can be read"),
    Advice("conflicts", _conflicts, "--only split", "lists them, so that one can be removed"),
)
