"""A whole report from a table of predictions: evaluated, drawn and rendered through files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reports import gallery, html
from reports.drawing import style
from reports.evaluation import evaluate as evaluation
from reports.evaluation.sample import classes_of
from resnext.contracts import tables
from resnext.contracts.json_files import read_json
from tests.reports.figures.samples import write_training
from tests.reports.sections.test_images import entry, known
from tests.reports.test_html import content

Save = Callable[[Figure, Path, str], object]


def save_small(figure: Figure, folder: Path, stem: str) -> None:
    """Draw a figure and write a small picture of it."""
    figure.savefig(folder / f"{stem}.png", dpi=40)


def build(predictions: pd.DataFrame, folder: Path, save: Save = style.save_figure) -> str:
    """Evaluate, plot and render as the stages do, each from the files of the one before."""
    tables.write_table(predictions, folder / "predictions.csv")
    read = tables.read_table(folder / "predictions.csv")
    evaluation.write(evaluation.evaluate(read), folder)
    write_training(folder, 3)
    options = {"metric": "val_accuracy", "keep": "best", "show_time": False}
    for name, figure in gallery.plot_all(folder.joinpath, **options):
        save(figure, folder, name)
    return render(classes_of(read), folder)


def render(classes: list[str], folder: Path) -> str:
    split = pd.DataFrame(columns=["path", "label", "group", "copy", "split", "reason"], dtype=str)
    given: dict[str, Any] = {
        "split": split,
        "per_class": tables.read_table(folder / "per_class.csv"),
        "metrics": read_json(folder / "metrics.json"),
        "confusion": tables.read_confusion(folder / "confusion.csv"),
        "calibration": read_json(folder / "calibration.json"),
        "explained": known(entry(label=classes[0], predicted=classes[-1])),
        "figures": {name: (folder / f"{name}.png").read_bytes() for name in gallery.NAMES},
    }
    page = html.render_report(content(classes, **given))
    (folder / "report.html").write_text(page, encoding="utf-8")
    return page
