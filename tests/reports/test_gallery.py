import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports import figures as drawn_figures
from reports import gallery
from reports.drawing.style import save_figure
from reports.sections import figures as section
from tests.reports.figures.samples import (
    class_names,
    nothing,
    scores,
    texts,
    write_scores,
    write_training,
)

STEMS = [
    *("confusion", "per_class", "per_class_narrow", "roc", "roc_narrow"),
    *("precision_recall", "precision_recall_narrow", "reliability", "reliability_narrow"),
    *("confidences", "confidences_narrow", "net_benefit", "net_benefit_narrow"),
    *("risk_coverage", "risk_coverage_narrow"),
    *("curves", "curves_narrow"),
]
OPTIONS: dict[str, Any] = {"metric": "val_accuracy", "keep": "best", "show_time": False}
LONG = ["melanocytic nevus of the very long name", "W" * 40, "a", *class_names(6)]
EVALUATIONS = {
    "two": scores(["Monkey Pox", "Others"], drawn=["Others"]),
    "three": scores(class_names(3)),
    "nine": scores(LONG),
    "twenty": scores(class_names(20)),
    "hundred": scores(class_names(100), drawn=["(mean)"]),
    "nothing": nothing(["Monkey Pox", "Others"]),
}


def figures(name: str, folder: Path, epochs: int = 12) -> list[tuple[str, Figure]]:
    folder.mkdir(exist_ok=True)
    write_scores(EVALUATIONS[name], folder)
    write_training(folder, epochs)
    return list(gallery.plot_all(folder.joinpath, **OPTIONS))


@dataclass(frozen=True)
class Written:
    """Hold a text that was drawn and its box in dots: left, bottom, right, top."""

    text: str
    level: bool
    box: tuple[float, ...]


def written(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[Written]:
    """Draw a figure and give each text that was drawn."""
    found, draw = [], Text.draw

    def record(text: Text, renderer: Any, *args: Any, **options: Any) -> None:
        draw(text, renderer, *args, **options)
        if text.get_text().strip():
            box = text.get_window_extent(renderer)
            found.append(Written(text.get_text(), text.get_rotation() % 90 == 0, box.extents))

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return found


def overlaps(lines: Sequence[Written]) -> list[tuple[str, str]]:
    """List the pairs of level texts whose boxes share more than a dot in both directions."""
    level = [line for line in lines if line.level]
    boxes = np.array([line.box for line in level])  # (N, 4)
    low = np.maximum(boxes[:, np.newaxis, :2], boxes[:, :2])
    high = np.minimum(boxes[:, np.newaxis, 2:], boxes[:, 2:])
    rows, columns = np.triu((high - low > 1).all(axis=2), k=1).nonzero()
    return [
        (level[row].text, level[column].text) for row, column in zip(rows, columns, strict=True)
    ]


@pytest.mark.parametrize("name", ["two", "nine", "twenty", "hundred", "nothing"])
def test_all_text_of_every_figure_is_inside_and_none_lies_over_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = figures(name, tmp_path)
    assert [stem for stem, _ in drawn] == STEMS
    for stem, figure in drawn:
        lines, right, top = written(figure, monkeypatch), figure.bbox.x1, figure.bbox.y1
        assert lines
        outside = [
            line.text
            for line in lines
            if min(line.box[:2]) < -1 or line.box[2] > right + 1 or line.box[3] > top + 1
        ]
        assert not outside, stem
        assert not overlaps(lines), stem


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        for stem, figure in figures("three", tmp_path / "tables"):
            save_figure(figure, folder, stem)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(f"{stem}.{kind}" for stem in STEMS for kind in ("png", "svg"))
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert b"<dc:date>" not in (tmp_path / "one" / file).read_bytes()


NEW_FIGURE = """
from reports.drawing.plot import Plot
from reports.drawing.style import sentence

PLOT = Plot(
    name="sizes",
    title="Sizes of the classes",
    caption="How many images each class has.",
    tables=("per_class.csv",),
    draw=lambda per_class: sentence(f"{per_class['support'].sum()} images."),
    position=8,
    alternative=lambda tables: f"Sizes of {len(tables['per_class.csv'])} classes.",
)
"""


def test_one_new_file_is_a_new_figure_in_the_run_and_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sizes.py").write_text(NEW_FIGURE)
    monkeypatch.setattr(drawn_figures, "__path__", [*drawn_figures.__path__, str(tmp_path)])
    plots = gallery.find_plots()
    monkeypatch.setattr(gallery, "PLOTS", plots)
    monkeypatch.setattr(section, "PLOTS", plots)
    *_, (name, figure) = figures("two", tmp_path / "tables")
    assert (name, texts(figure)) == ("sizes", ["20 images."])
    per_class = {"per_class.csv": EVALUATIONS["two"]["per_class.csv"]}
    (shown,) = section.embed({"sizes": b"png"}, per_class)
    assert (shown.title, shown.alternative) == ("Sizes of the classes", "Sizes of 2 classes.")


def test_records_are_read_without_what_computes_and_draws() -> None:
    rooms = "sys, tasks.plot, tasks.report, reports.html, reports.model_card"
    heavy = "{'matplotlib', 'scipy', 'torch'}"
    code = f"import {rooms}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_whose_table_has_no_rows_is_left_out_of_the_report() -> None:
    images = {"net_benefit": b"png" * 20, "roc": b"png" * 20}
    rows = EVALUATIONS["two"]["per_class.csv"]
    given = {"per_class.csv": rows, "net_benefit.csv": rows}
    shown = [each.title for each in section.embed(images, given)]
    assert shown == ["ROC curve", "Decision curve"]
    given["net_benefit.csv"] = rows.head(0)
    assert [each.title for each in section.embed(images, given)] == ["ROC curve"]
