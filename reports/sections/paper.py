"""Write paragraphs of methods and results for a paper, from what the run used and found.

The numbers come from the tables as they are. What a run can't know, such as where the images come
from, is left to the author.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reports.evaluation.metrics import METRICS
from reports.parts import PARTS
from reports.sections import split
from reports.sections.score import commonest, reach
from resnext.contracts.formatting import Bounds, count, percent, plural, undefined

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


def methods(content: ReportContent) -> str:
    """Say how the images were shared out, what was trained, and how it was tested."""
    flags = {name: value for each in content.settings.values() for name, value in each.items()}
    parts = [_data(content), _split(content), _training(content, flags), _testing(content)]
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
        _at_threshold(m.get("operating_point")),
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
    near = leakage.get("near") or {}
    joined = near.get("searched") is not False and "joined_pairs" in near
    return " ".join(filter(None, [*said, NEAR if joined else ""]))


def _training(content: ReportContent, flags: Mapping[str, str]) -> str:
    name = content.architecture or flags.get("--arch", "")
    if not name or "--epochs" not in flags:
        return ""
    probe = flags.get("--method") == "probe"
    what = f"Heads on a frozen {name} were" if probe else f"A {name} was"
    weights = flags.get("--weights", "").partition(", licence")[0]
    told = {
        "images of {} px": flags.get("--image-size"),
        "batches of {}": flags.get("--batch-size"),
        "the optimizer {}": flags.get("--optimizer"),
        "a learning rate of {}": flags.get("--lr"),
        "weights that start from {}": weights,
    }
    with_ = ", ".join(text.format(value) for text, value in told.items() if value)
    return f"{what} trained for {flags['--epochs']} epochs with {with_}."


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
    listed = [f"{e.title} was {_measure(m, e.name)}" for e in names if not undefined(m[e.name])]
    return f"{'; '.join(listed)}." if listed else ""


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
    ranked = known.sort_values("recall", kind="stable").to_dict("records")
    least, most = ranked[0], ranked[-1]
    return (
        f"Recall by class went from {percent(least['recall'])} (“{least['class']}”, "
        f"{count(least['support'])} images) to {percent(most['recall'])} (“{most['class']}”, "
        f"{count(most['support'])} images)."
    )


def _at_threshold(point: Mapping[str, Any] | None) -> str:
    if not point or undefined(point["sensitivity"]) or undefined(point["specificity"]):
        return ""
    said = [
        f"{name} was {percent(point[name])}{_within(point.get(f'{name}_ci95'))}"
        for name in ("sensitivity", "specificity")
    ]
    return (
        f"For “{point['positive']}” from a calibrated probability of {point['threshold']:.3f} on, "
        f"{' and '.join(said)}."
    )
