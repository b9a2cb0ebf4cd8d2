"""Tables as the evaluation and the training write them, for the tests of their figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resnext.contracts.json_files import write_json
from resnext.contracts.tables import confusion_table, write_confusion, write_table

GRID = np.linspace(0, 1, 101)
CLASS_SCORES = ("precision", "recall", "specificity", "f1", "auroc", "average_precision")


Scores = dict[str, Any]
"""The tables and summaries of an evaluation by the names of their files."""


def write_scores(scores: Scores, folder: Path) -> None:
    for name, content in scores.items():
        if name == "confusion.csv":
            write_confusion(content, folder / name)
        elif name.endswith(".csv"):
            write_table(content, folder / name)
        else:
            write_json(content, folder / name)


def write_training(folder: Path, epochs: int, *, parts: Sequence[str] = ("val", "test")) -> None:
    """Write the tables of a training besides: history.csv, split.csv, timing.csv."""
    write_table(history(epochs), folder / "history.csv")
    write_table(pd.DataFrame({"split": list(parts)}), folder / "split.csv")
    ended = ["2026-01-01T00:00:00Z"] * min(epochs, 1)
    write_table(pd.DataFrame({"finished_at": ended}), folder / "timing.csv")


def history(epochs: int, *, measured: bool = True) -> pd.DataFrame:
    steps = np.arange(1, epochs + 1)
    val = 1 / steps + 0.05 * steps if measured else np.full(epochs, np.nan)
    train = {"train_loss": 1 / steps, "train_accuracy": 1 - 0.5 / steps}
    held_out = {"val_loss": val, "val_accuracy": 1 - val / 2}
    return pd.DataFrame({"epoch": steps, "lr": 0.001} | train | held_out)


def class_names(classes: int) -> list[str]:
    return [f"class {place}" for place in range(classes)]


def matrix(classes: int, names: Sequence[str] = ()) -> pd.DataFrame:
    names = names or class_names(classes)
    counts = np.random.default_rng(classes).integers(0, 9, (classes, classes))
    return confusion_table(counts, names, names)


def per_class(names: Sequence[str], support: int = 10) -> pd.DataFrame:
    values = np.linspace(0.9, 0.5, len(names))
    columns: dict[str, Any] = {"class": list(names), "support": support}
    for score in CLASS_SCORES:
        columns |= {score: values, f"{score}_low": values - 0.2, f"{score}_high": values + 0.1}
    for score in ("calibration_slope", "calibration_intercept"):
        columns |= {score: values, f"{score}_low": values - 0.5, f"{score}_high": values + 0.5}
    return pd.DataFrame(columns)


def curve_table(names: Sequence[str], x: str, y: str) -> pd.DataFrame:
    tables = []
    for place, name in enumerate(names):
        values = GRID ** (1 / (2 + place)) if x == "false_positive_rate" else 1 - GRID / (2 + place)
        columns = {"class": name, x: GRID, y: values, "low": values * 0.8, "high": values}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def roc(names: Sequence[str]) -> pd.DataFrame:
    return curve_table(names, "false_positive_rate", "true_positive_rate")


def precision_recall(names: Sequence[str]) -> pd.DataFrame:
    return curve_table(names, "recall", "precision")


def reliability(*whens: str) -> pd.DataFrame:
    edges = np.linspace(0, 1, 16)
    middle = (edges[:-1] + edges[1:]) / 2
    known = np.where(middle > 0.5, middle, np.nan)
    columns = {
        "bin_low": edges[:-1],
        "bin_high": edges[1:],
        "n": np.where(middle > 0.5, 10, 0),
        **{"confidence": known, "accuracy": known - 0.1, "low": known - 0.3, "high": known},
    }
    return pd.concat([pd.DataFrame({"when": when} | columns) for when in whens], ignore_index=True)


def class_reliability(names: Sequence[str]) -> pd.DataFrame:
    """Give the bins of the second of two classes; without rows of more classes."""
    edges = np.linspace(0, 1, 16)
    shares = (edges[:-1] + edges[1:]) / 2
    columns = {
        "bin_low": edges[:-1],
        "bin_high": edges[1:],
        "n": 10,
        **{"confidence": shares, "accuracy": shares.round(1)},
        **{"low": shares * 0.8, "high": 0.2 + shares * 0.8},
    }
    tables = [
        pd.DataFrame({"class": names[-1], "when": when} | columns) for when in ("before", "after")
    ]
    return pd.concat(tables, ignore_index=True).head(30 if len(names) == 2 else 0)


def calibration_curve(names: Sequence[str]) -> pd.DataFrame:
    name = names[-1] if len(names) == 2 else ""
    columns = {"probability": GRID, "observed": GRID**2, "low": GRID**3, "high": GRID}
    tables = [pd.DataFrame({"when": w, "class": name} | columns) for w in ("before", "after")]
    return pd.concat(tables, ignore_index=True)


def net_benefit(name: str) -> pd.DataFrame:
    threshold = np.linspace(0.01, 0.99, 99)
    value, every = 0.4 - 0.4 * threshold, 0.4 - 0.6 * threshold / (1 - threshold)
    columns = {"threshold": threshold, "net_benefit": value, "low": value - 0.1}
    columns |= {"high": value + 0.1, "treat_all": every}
    return pd.DataFrame({"class": name} | columns)


def confidences() -> pd.DataFrame:
    edges = np.linspace(0, 1, 21)
    right, wrong = np.zeros(20, dtype=int), np.zeros(20, dtype=int)
    right[[12, 19]], wrong[[11, 12]] = [3, 40], [2, 1]
    columns = {"bin_low": edges[:-1], "bin_high": edges[1:], "right": right, "wrong": wrong}
    return pd.DataFrame(columns)


def risk_coverage() -> pd.DataFrame:
    """Give a curve whose error grows from 0 to a fifth."""
    coverage = np.linspace(0.01, 1, 100)
    risk = 0.2 * coverage**2
    columns = {"probability": 1 - coverage / 2, "coverage": coverage, "n": 100 * coverage}
    bounds = {"risk": risk, "low": risk / 2, "high": risk + 0.1}
    return pd.DataFrame(columns | bounds)


def uncertainty() -> dict[str, Any]:
    """Give what metrics.json says of uncertain answers."""
    promised = {"max_error": 0.1, "refer_below": 0.7, "reason": None, "answered": 0.6}
    error = {"answered_ci95": [0.5, 0.7], "error": 0.072, "error_ci95": [0.03, 0.14]}
    sets = {"level": 0.9, "set_from": 0.2, "reason": None, "coverage": 0.92, "single": 0.5}
    reaches = {"coverage_ci95": [0.8, 0.97], "single_ci95": None, "size_ci95": [1.4, 1.8]}
    area = {"aurc": 0.067, "aurc_ci95": [0.04, 0.11]}
    return area | {"referral": promised | error, "sets": sets | reaches | {"size": 1.6}}


def metrics(positive: str | None = None) -> dict[str, Any]:
    rates = {"sensitivity": 0.9, "specificity": 0.75}
    bounds = {"sensitivity_ci95": [0.8, 1.0], "specificity_ci95": [0.6, 0.85]}
    point = {"positive": positive, "threshold": 0.3, "chosen_on": "val", **rates, **bounds}
    area = {"n": 40, "auroc": 0.8, "auroc_ci95": [0.7, 0.9]}
    return area | {
        "operating_point": point if positive else None,
        "uncertainty": uncertainty(),
    }


def calibration() -> dict[str, Any]:
    return {"temperature": 1.5, "fitted_on": "val", "n": 60, "reason": None}


def scores(names: Sequence[str], *, drawn: Sequence[str] | None = None) -> Scores:
    """Give a whole evaluation; `drawn` are the classes that have a curve, by default all."""
    curves = list(names if drawn is None else drawn)
    return {
        "confusion.csv": matrix(len(names), names),
        "roc.csv": roc(curves),
        "precision_recall.csv": precision_recall(curves),
        "reliability.csv": reliability("before", "after"),
        "confidences.csv": confidences(),
        "class_reliability.csv": class_reliability(names),
        "calibration_curve.csv": calibration_curve(names),
        "net_benefit.csv": net_benefit(names[0]),
        "risk_coverage.csv": risk_coverage(),
        "per_class.csv": per_class(names),
        "metrics.json": metrics(curves[0]),
        "calibration.json": calibration(),
    }


def nothing(names: Sequence[str]) -> Scores:
    """Give the evaluation of a test part without an image: headings, and NaN where undefined."""
    full = scores(names)
    table = full["per_class.csv"].assign(support=0)
    table[table.columns[2:]] = np.nan
    empty = {name: full[name].head(0) for name in full if name.endswith(".csv")}
    return empty | {
        "confusion.csv": full["confusion.csv"] * 0,
        "per_class.csv": table,
        "metrics.json": {"n": 0, "auroc": None, "auroc_ci95": None, "operating_point": None},
        "calibration.json": {"temperature": 1.0, "n": 0, "reason": "there is no part"},
    }


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def tick_labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def legend_texts(owner: Axes | Figure) -> list[str]:
    legends = [owner.get_legend()] if isinstance(owner, Axes) else owner.legends
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


def points(axes: Axes, place: int) -> np.ndarray[Any, Any]:
    """Give the points (N, 2) of the line that was drawn at this place."""
    return np.asarray(axes.lines[place].get_xydata(), dtype=float)


def corners(collection: Collection) -> list[np.ndarray[Any, Any]]:
    """Give the corners (N, 2) of each shape of a collection."""
    return [np.asarray(path.vertices, dtype=float) for path in collection.get_paths()]


def bars(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]
