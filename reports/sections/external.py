"""Put the score on images from elsewhere, and what it is compared with, into words and rows.

The numbers come from external.json, overlap.json and metrics.json as they are; none is computed
here. What is undefined (NaN, None) reads "n/a".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from reports.evaluation.external import COMPARED, MAIN
from reports.evaluation.metrics import METRICS, Metric
from reports.sections.score import only_answer
from resnext.contracts.formatting import (
    NOT_AVAILABLE,
    Bounds,
    decimal,
    defined,
    first_few,
    percent,
    percent_interval,
    plural,
    undefined,
)

Found = Mapping[str, Any]
HERE, OWN = "these images", "own test part"


def score_rows(comparison: Found, metrics: Found) -> list[dict[str, str]]:
    """Give a row for each score: title, meaning, here, own, difference, each of these with bounds.

    Without metrics.json beside the model there is the score here alone.
    """
    rows = comparison["scores"] or [_alone(metric, metrics) for metric in COMPARED]
    return [_row(metric, row) for metric, row in zip(COMPARED, rows, strict=True)]


def short_rows(comparison: Found, metrics: Found) -> list[dict[str, str]]:
    """Give the rows of a short table: for a terminal and for the Prefect UI."""
    return [
        {
            "score": row["title"],
            HERE: _line(row, "here"),
            OWN: _line(row, "own"),
            "difference": _line(row, "difference"),
        }
        for row in score_rows(comparison, metrics)
    ]


def headline(comparison: Found) -> str:
    """Say in a sentence how the score differs from that on the model's own test part."""
    row = next((row for row in comparison["scores"] if row["name"] == MAIN.name), None)
    if row is None:
        return (
            "No metrics.json lies beside the model as it was written, so that the score can't be "
            "compared with that on its own test part."
        )
    here, own = (
        percent_interval(row[side], row[f"{side}_ci95"]) for side in ("external", "internal")
    )
    text = f"{MAIN.title} {here} here, {own} on the model's own test part"
    if missing := _lacking(comparison):
        return f"{text}. They are not compared, since {missing}."
    text += ": "
    if undefined(row["difference"]):
        return f"{text}no difference can be told."
    text += f"{_points(row['difference'])} points"
    bounds = defined(row["difference_ci95"])
    if bounds is None:
        return f"{text}. Whether chance explains it can't be told."
    low, high = map(_points, bounds)
    verdict = "More than chance explains."
    if bounds[0] <= 0 <= bounds[1]:  # which is no proof that there is none
        verdict = "The interval holds 0: there may be a true difference, or none."
    return f"{text} (95 % interval {low} to {high}). {verdict}"


def _lacking(comparison: Found) -> str:
    """Say which classes one side lacks; empty where both hold the same."""
    sides = {"external": "these images", "internal": "the images of the model's own test part"}
    named = {side: first_few(f"“{each}”" for each in comparison["lacking"][side]) for side in sides}
    return " and ".join(f"{sides[side]} lack {names}" for side, names in named.items() if names)


def never_found(per_class: pd.DataFrame) -> Iterator[str]:
    """Name the classes of which no image was recognised."""
    rows = per_class[(per_class["support"] > 0) & (per_class["recall"] == 0)]
    for name, support in zip(rows["class"], rows["support"], strict=True):
        yield f"“{name}” was never recognised: 0 of {plural(support, 'image')}."


def notes(
    comparison: Found, found: Found, metrics: Found, per_class: pd.DataFrame
) -> Iterator[str]:
    """Say what is to be read with the score."""
    if not only_answer(per_class):  # which says it of all others
        yield from never_found(per_class)
    if not found["checked"]:
        yield (
            "Whether the model was trained on some of these images could not be checked: its "
            "manifest.csv and split.csv do not lie beside it as they were written."
        )
    smallest = metrics.get("smallest_class")
    if metrics.get("few_groups") and smallest:
        yield (
            f"There are {plural(smallest['groups'], 'group')} of “{smallest['class']}”, too few "
            "for a firm score: even the intervals are rough guesses."
        )
    yield from (f"{_capital(warning)}." for warning in found["group_warnings"])
    if absent := found["absent"]:
        classes = "class" if len(absent) == 1 else "classes"
        yield f"No image of the model's {classes} {first_few(absent)} is scored."
    if pairs := comparison.get("in_both"):
        yield in_both(pairs)
    if point := metrics.get("operating_point"):
        yield _operating_point(point)


def in_both(pairs: Found) -> str:
    """Say what the images are worth that the model's own test part holds too."""
    old, new = (percent(share, " ") for share in pairs["accuracy"])
    same = (
        "the probabilities are the same"
        if pairs["most_apart"] < 5e-4
        else (f"probabilities differ by up to {pairs['most_apart']:.3f}")
    )
    are = "is" if pairs["n"] == 1 else "are"
    return (
        f"{plural(pairs['n'], 'scored image')} {are} in the model's own test part too, and {are} "
        f"no evidence from elsewhere: {old} right then and {new} now; {same}. The intervals of the "
        "differences take both sides for independent, and are too wide."
    )


def left_out(found: Found) -> dict[str, str]:
    """List how many images are scored, and how many are left out for which reason."""
    rows = {"Images found": f"{found['images']:,}"}
    if found["unreadable"]:
        rows["Files that could not be used, see quarantine.csv"] = f"{found['unreadable']:,}"
    for reason, count in sorted(found["left_out"].items()):
        known = ", known from the training data" if reason in found["known"] else ""
        rows[f"Left out{known}: {reason}"] = f"{count:,}"
    rows |= {
        f"Class “{name}” of which the model knows nothing": plural(count, "image")
        for name, count in found["lacking"].items()
    }
    scored = f"{plural(found['scored'], 'image')} of {plural(found['groups'], 'group')}"
    return rows | {"Scored": scored, "How groups are known": found["evidence"]}


def bars(comparison: Found) -> list[dict[str, Any]]:
    """Give the balanced accuracy here and on the own test part as bars, see `score.Result`.

    Width and reach (where the interval begins and how wide it is) are in percent.
    """
    row: Found = next((row for row in comparison["scores"] if row["name"] == MAIN.name), {})
    alone = any(comparison["lacking"].values())
    return [
        _bar(f"Balanced accuracy, {name}", row[side], row[f"{side}_ci95"], name == OWN)
        for name, side in ((HERE, "external"), (OWN, "internal"))
        if not undefined(row.get(side)) and not (alone and name == OWN)
    ]


def recalibration_table(comparison: Found) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Give the heading, and rows of cells (text, bounds) whose first one names the row."""
    methods = comparison["recalibration"]["methods"]
    names = ["Probabilities", *(_capital(row["name"]) for row in methods)]
    rows = [
        [(metric.title, ""), *(_score(metric, row) for row in methods)]
        for metric in METRICS
        if metric.name in methods[0]
    ]
    if len(methods) > 1:
        rows += [[(title, ""), *map(write, methods)] for title, write in FITTED.items()]
    return names, rows


def recalibration(comparison: Found, calibration: Found) -> Iterator[str]:
    """Say whether recalibration pays, and what would stand in calibration.json then."""
    found = comparison["recalibration"]
    if found["reason"]:
        yield f"Nothing was fitted: {found['reason']}."
        return
    for row in found["methods"][1:]:
        if row.get("reason"):
            yield f"{_capital(row['name'])}: not fitted, since {row['reason']}."
            continue
        bounds = defined(row["gain_ci95"])
        better = bounds is not None and bounds[0] > 0
        worse = bounds is not None and bounds[1] < 0
        verdict = "better" if better else "worse" if worse else "neither clearly better nor worse"
        yield (
            f"{_capital(row['name'])}: by the log loss the probabilities are {verdict} than those "
            f"that the model gives. {_would_be(row, calibration)}"
        )
    yield (
        "Nothing of the model was changed. Each image was recalibrated by what was fitted on the "
        f"groups of other parts ({found['parts']} parts); slope, intercepts and the values for "
        "calibration.json are those of all images together."
    )


def _would_be(row: Found, calibration: Found) -> str:
    """Say which numbers of calibration.json would be others."""
    temperature, threshold = row["would_be"]["temperature"], row["would_be"]["threshold"]
    would, own = (f"{each:.3f}" for each in (temperature, calibration["temperature"]))
    change = f"stay {own}" if would == own else f"be {would} in place of {own}"
    text = f"In calibration.json the temperature would {change}"
    if threshold is None:
        return f"{text}; it has no place for intercepts."
    return (
        f"{text}, and the threshold {threshold:.3f} in place of {calibration['threshold']:.3f}, "
        "which answers as the intercept does."
    )


def _bar(name: str, share: float, bounds: Bounds, is_baseline: bool) -> dict[str, Any]:
    found = defined(bounds)
    reach = None if found is None else (100 * found[0], 100 * (found[1] - found[0]))
    value, its = percent(share), " to ".join(map(percent, found or ()))
    return {
        "name": name, "value": value, "bounds": its, "width": 100 * share, "reach": reach,
        "is_baseline": is_baseline,
    }  # fmt: skip


def _score(metric: Metric, row: Found) -> tuple[str, str]:
    """Write a score with its bounds; n/a where nothing was fitted."""
    return metric.write(row.get(metric.name)), _reach(row.get(f"{metric.name}_ci95"), metric)


def _gain(row: Found) -> tuple[str, str]:
    if "gain" not in row:
        return "", ""
    return _signed(row["gain"]), " to ".join(map(_signed, defined(row["gain_ci95"]) or ()))


def _slope(row: Found) -> tuple[str, str]:
    return (f"{row['slope']:.2f}" if "slope" in row else "", "")


def _intercepts(row: Found) -> tuple[str, str]:
    added = [f"{name} {value:+z.2f}" for name, value in row.get("intercepts", {}).items() if value]
    return first_few(added), ""


FITTED = {
    "Log loss gained": _gain,
    "Slope, of all images": _slope,
    "Intercepts, of all images": _intercepts,
}
"""What is said of a way to recalibrate besides its scores."""


def _operating_point(point: Found) -> str:
    sensitivity, specificity = (
        percent_interval(point[name], point[f"{name}_ci95"])
        for name in ("sensitivity", "specificity")
    )
    return (
        f"At the model's threshold, a calibrated probability of {point['threshold']:.3f}: "
        f"sensitivity for “{point['positive']}” {sensitivity}, specificity {specificity}."
    )


def _alone(metric: Metric, metrics: Found) -> dict[str, Any]:
    bounds = metrics.get(f"{metric.name}_ci95")
    return {"name": metric.name, "external": metrics.get(metric.name), "external_ci95": bounds}


def _row(metric: Metric, row: Found) -> dict[str, str]:
    found = {"title": metric.title, "meaning": metric.meaning}
    for name, side in (("here", "external"), ("own", "internal")):
        found[name] = metric.write(row.get(side))
        found[f"{name}_bounds"] = _reach(row.get(f"{side}_ci95"), metric)
    return found | _difference(metric, row)


def _reach(bounds: Bounds, metric: Metric) -> str:
    return " to ".join(map(metric.write, defined(bounds) or ()))


def _difference(metric: Metric, row: Found) -> dict[str, str]:
    """Write a difference, of shares in points."""
    value, bounds = row.get("difference"), defined(row.get("difference_ci95"))
    write = _points if metric.in_percent else _signed
    shown = NOT_AVAILABLE if undefined(value) or value is None else write(value)
    return {"difference": shown, "difference_bounds": " to ".join(map(write, bounds or ()))}


def _line(row: Found, name: str) -> str:
    bounds = row[f"{name}_bounds"]
    return (f"{row[name]} ({bounds})" if bounds else row[name]).replace("\u00a0", " ")


def _points(share: float) -> str:
    return f"{100 * share:+z.1f}"


def _signed(value: float) -> str:
    return f"{value:+z.3f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def drift_rows(drift: Found) -> list[list[str]]:
    """Give class, share of these images with its interval, and share of the training part."""
    return [
        [
            row["class"],
            percent_interval(
                row["new_share"], (row["new_share_low"], row["new_share_high"])
            ).replace("-", " to "),  # as in the sentence above the table
            percent(row["training_share"]),
        ]
        for row in drift["shares"]
    ]


def confidence(drift: Found) -> str:
    """Say the mean confidences, here and on the model's held-out images."""
    found = drift["confidence"]
    return f"{decimal(found['new'])} here, {decimal(found['reference'])} on its held-out images"
