"""Write paragraphs of methods and results for a paper, from what the run used and found.

The numbers come from the tables as they are. What a run can't know, such as where the images come
from, is left to the author.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.evaluation.metrics import METRICS
from reports.parts import PARTS
from reports.sections import split
from reports.sections.score import commonest, probability_word, reach
from resnext.contracts.formatting import Bounds, percent, plural, undefined

if TYPE_CHECKING:
    from reports.content import ReportContent

NAMED = 12
"""Up to so many classes are named."""
SPLIT = {
    "grouped": "All images of a group were kept in one part.",
    "stratified": "Originals were drawn by class; images of one group may be in several parts.",
    "random": "Every file was drawn on its own; copies may be in several parts.",
    "given": "The parts came with the data.",
}
NEAR = (
    "Identical files and near-duplicates, which two perceptual hashes found under all flips and "
    "quarter turns, were joined into one group."
)
INTERVALS = (
    "All intervals are of 95\u00a0% and take the group as the unit of chance: those of shares are "
    "Wilson's with the effective number of images, those of AUROC come from the variance over "
    "groups, the others from 2,000 bootstrap draws of whole groups."
)


NAMES = ("Brier",)
"""What keeps its capital within a sentence, besides abbreviations."""


def methods(content: ReportContent) -> str:
    """Say how the images were shared out, what was trained, and how it was tested."""
    parts = [_data(content), _split(content), training(content), _testing(content)]
    return " ".join(part for part in [*parts, INTERVALS] if part)


def results(content: ReportContent) -> str:
    """Say what the test part gave, with intervals; what is undefined is left out."""
    m = content.metrics
    if not m.get("n") or undefined(m.get("accuracy")):
        return "No test image could be evaluated."
    said = [
        f"On {plural(m['n'], 'test image')} of {plural(m['groups'], 'group')} the network was "
        f"right on {_measure(m, 'accuracy')}. Always answering “{commonest(content.per_class)}” "
        f"would have been right on {percent(m.get('majority_accuracy'))}.",
        _others(m),
        _by_class(content),
        _at_threshold(m.get("operating_point"), content.calibration),
    ]
    return " ".join(text for text in said if text)


def _data(content: ReportContent) -> str:
    classes = content.classes
    named = f" ({', '.join(classes)})" if len(classes) <= NAMED else ""
    found = (
        f"{plural(len(content.manifest), 'image')} of {plural(len(classes), 'class', 'classes')}"
    )
    left_out = len(content.quarantine)
    unusable = f"; {plural(left_out, 'file')} could not be used" if left_out else ""
    return f"The data were {found}{named}{unusable}."


def _split(content: ReportContent) -> str:
    leakage = content.leakage or {}
    rows = dict(split.rows(content.split, content.classes))
    images, groups = rows["All images"], rows["Groups"]
    listed = [
        f"{name.lower()} ({plural(images[part], 'image')} of {plural(groups[part], 'group')})"
        for part, name in PARTS.items()
        if part != "unused" and images[part]
    ]
    found = content.metrics.get("folds")
    if found:
        again = f", {found['repeats']} times with other folds" if found["repeats"] > 1 else ""
        how = f"They were divided into {found['folds']} folds{again}; each was tested once by a "
        said = [f"{how}network that was trained on the others."]
    else:
        left = f"; {plural(images['unused'], 'image')} stayed unused" if images["unused"] else ""
        said = [f"They were divided into {', '.join(listed)}{left}."] if listed else []
    said.append(SPLIT.get(str(leakage.get("strategy") or ""), ""))
    said.append(_groups(leakage))
    near = leakage.get("near") or {}
    joined = near.get("searched") is not False and "joined_pairs" in near
    return " ".join(filter(None, [*said, NEAR if joined else ""]))


def _groups(leakage: Mapping[str, Any]) -> str:
    """Say what the groups rest on, where they are not known."""
    if not split.unknown_groups(leakage):
        return ""
    scheme = leakage["scheme"]
    if scheme.get("guessed"):
        return "The groups were guessed from the names of files and folders."
    unknown, total = scheme.get("unknown"), scheme.get("names")
    whose = (
        "The groups" if unknown in (None, total) else f"The groups of {plural(unknown, 'image')}"
    )
    return f"{whose} were not known; each such image counted as a group of its own."


def training(content: ReportContent) -> str:
    """Say what was trained, and how; empty where the settings don't."""
    flags = {name: value for each in content.settings.values() for name, value in each.items()}
    name = content.architecture or flags.get("--arch", "")
    if not name or "--epochs" not in flags:
        return ""
    told = {
        "images of {} px": flags.get("--image-size"),
        "batches of {}": flags.get("--batch-size"),
        "the optimizer {}": flags.get("--optimizer"),
        "a learning rate of {}": flags.get("--lr"),
    }
    with_ = ", ".join(text.format(value) for text, value in told.items() if value)
    how = f"for {flags['--epochs']} epochs{f' with {with_}' if with_ else ''}"
    start = _start(flags.get("--weights", ""))
    if flags.get("--method") == "probe":
        frozen = f"Heads on a frozen {name}{f' with {start}' if start else ''}"
        return f"{frozen} were trained {how}, {_originals(content)}."
    article = "An" if name[0] in "aeiou" else "A"
    return f"{article} {name} was trained{f' from {start}' if start else ''} {how}."


def _start(weights: str) -> str:
    """Name the weights that a network begins with, as the flag of the recipe describes them."""
    name = weights.partition(",")[0]
    known = {
        "none": "random weights",
        "imagenet": "ImageNet weights",
        "bundled": "ImageNet weights",
    }
    return known.get(name.partition(" ")[0], f"the weights {name}" if name else "")


def _originals(content: ReportContent) -> str:
    """Say on which images a probe was trained: neither copies nor a validation part serve it."""
    if content.metrics.get("folds"):
        return "on the originals alone"
    number = split.probe_originals(content.split, content.manifest)
    return (
        f"on the {plural(number, 'original')} of the train and validation parts; this method "
        "chooses nothing by a validation part"
    )


def _testing(content: ReportContent) -> str:
    known = content.calibration or {}
    if known.get("fitted_on") is None:
        why = f" ({known['reason']})" if known.get("reason") else ""
        return f"Probabilities were not calibrated{why}. Nothing was chosen on the images tested."
    part = "the other folds" if known["fitted_on"] == "folds" else "the validation part"
    return (
        f"Probabilities were calibrated by a temperature ({known['temperature']:.2f}) that was "
        f"fitted on {part}. Nothing was chosen on the images tested."
    )


def _others(m: Mapping[str, Any]) -> str:
    """List the other measures that are defined, each with its interval."""
    names = [
        each
        for each in METRICS
        if each.shown in ("bar", "tile") and each.name != "accuracy" and each.name in m
    ]
    known = [each for each in names if not undefined(m[each.name])]
    text = "; ".join(f"{_lower(each.title)} was {_measure(m, each.name)}" for each in known)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _lower(title: str) -> str:
    """Write a title as it stands within a sentence."""
    first = title.split()[0]
    return title if first.isupper() or first in NAMES else f"{title[0].lower()}{title[1:]}"


def _measure(m: Mapping[str, Any], name: str) -> str:
    """Write a measure with its interval."""
    (metric,) = (each for each in METRICS if each.name == name)
    return metric.write(m[name]) + _within(m.get(f"{name}_ci95"), metric.write)


def _within(bounds: Bounds, write: Callable[[float | None], str] = percent) -> str:
    """Write an interval in brackets; nothing where it is undefined."""
    text = reach(bounds, write)
    return f" (95\u00a0% interval {text})" if text else ""


def _by_class(content: ReportContent) -> str:
    """Name the classes that are found most and least often."""
    known = content.per_class.dropna(subset=["recall"])
    if len(known) < 2:
        return ""
    if known["recall"].min() == known["recall"].max():
        return f"Recall was {percent(known['recall'].max())} in every class."
    least, most = (
        f"{percent(recall)} ({_those(known[known['recall'] == recall])})"
        for recall in (known["recall"].min(), known["recall"].max())
    )
    return f"Recall by class went from {least} to {most}."


def _those(rows: pd.DataFrame) -> str:
    """Name a class with its images; of several the first, and their number."""
    name = f"“{rows['class'].iloc[0]}”"
    if len(rows) > 1:
        return f"{len(rows)} classes, such as {name}"
    return f"{name}, {plural(rows['support'].iloc[0], 'image')}"


def _at_threshold(point: Mapping[str, Any] | None, calibration: Mapping[str, Any] | None) -> str:
    if not point or undefined(point["sensitivity"]) or undefined(point["specificity"]):
        return ""
    said = [
        f"{name} was {percent(point[name])}{_within(point.get(f'{name}_ci95'))}"
        for name in ("sensitivity", "specificity")
    ]
    return (
        f"For “{point['positive']}” from a {probability_word(calibration)} of "
        f"{point['threshold']:.3f} on, "
        f"{' and '.join(said)}."
    )
