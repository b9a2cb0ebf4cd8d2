"""A whole report from a table of predictions: evaluated, drawn and rendered through files."""

from pathlib import Path
from typing import Any

import pandas as pd

from reports import html
from reports.evaluation import evaluate as evaluation
from reports.evaluation.sample import classes_of
from reports.figures import gallery, style
from resnext.contracts import tables
from tests.reports.figures.samples import history
from tests.reports.test_explained import entry, known
from tests.reports.test_html import content

FIGURES = (
    "confusion", "per_class", "roc", "precision_recall", "reliability", "confidences", "curves",
)  # fmt: skip


def build(predictions: pd.DataFrame, folder: Path, **changes: Any) -> str:
    """Evaluate, plot and render as the stages do, each from the files of the one before."""
    tables.write_table(predictions, folder / "predictions.csv")
    read = tables.read_table(folder / "predictions.csv")
    evaluation.write(evaluation.evaluate(read), folder)
    training = gallery.Watched("validation", "val_accuracy", None)
    for stem, figure in gallery.plot_all(history(3), training, scores_in(folder)):
        style.save_figure(figure, folder, stem)
    return render(classes_of(read), folder, **changes)


def scores_in(folder: Path) -> gallery.Scores:
    return gallery.read_scores(folder.joinpath)


def render(classes: list[str], folder: Path, **changes: Any) -> str:
    found = scores_in(folder)
    split = pd.DataFrame(columns=["path", "label", "group", "copy", "split", "reason"], dtype=str)
    given = {
        "split": split,
        "per_class": found.per_class,
        "metrics": found.metrics,
        "confusion": found.confusion,
        "calibration": found.calibration,
        "explained": known(entry(label=classes[0], predicted=classes[-1])),
        "figures": {stem: (folder / f"{stem}.png").read_bytes() for stem in FIGURES},
    }
    page = html.render_report(content(classes, **(given | changes)))
    (folder / "report.html").write_text(page, encoding="utf-8")
    return page
