import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports import figures as drawn_figures
from reports import gallery
from reports.drawing.style import save_figure
from reports.figures.curves import plot_training
from reports.figures.roc import plot_roc
from reports.sections import embedded_figures
from tests.reports.figures.samples import (
    class_names,
    history,
    nothing,
    scores,
    texts,
    write_training,
)

STEMS = [
    "confusion",
    "per_class",
    "roc",
    "precision_recall",
    "reliability",
    "confidences",
    "curves",
]
KINDS = ("png", "svg")
OPTIONS: dict[str, Any] = {"metric": "val_accuracy", "keep": "best", "show_time": False}
LONG = ["melanocytic nevus of the very long name", "W" * 40, "a", *class_names(6)]
EVALUATIONS = {
    "two": scores(["Monkey Pox", "Others"], drawn=["Others"]),
    "nine": scores(LONG),
    "twenty": scores(class_names(20)),
    "hundred": scores(class_names(100), drawn=["(mean)"]),
    "nothing": nothing(["Monkey Pox", "Others"]),
}


def figures(name: str, folder: Path, epochs: int = 12) -> list[tuple[str, Figure]]:
    folder.mkdir(exist_ok=True)
    EVALUATIONS[name].write(folder)
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


@pytest.mark.parametrize("name", EVALUATIONS)
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
        for stem, figure in figures("two", tmp_path / "tables"):
            save_figure(figure, folder, stem)
        panels = EVALUATIONS["nine"]
        save_figure(plot_roc(panels.roc, panels.per_class, panels.metrics), folder, "panels")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(f"{stem}.{kind}" for stem in (*STEMS, "panels") for kind in KINDS)
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert b"<dc:date>" not in (tmp_path / "one" / file).read_bytes()


def test_without_a_test_picture_each_figure_is_a_sentence(tmp_path: Path) -> None:
    for stem, figure in figures("nothing", tmp_path, epochs=0):
        (axes,) = figure.axes
        (text,) = axes.texts
        assert text.get_text().endswith("."), stem
        assert not axes.lines


@pytest.mark.parametrize(
    ("parts", "keep", "name", "chosen"),
    [
        (("train", "val", "test"), "best", "validation", True),
        (("train", "val", "test"), "last", "validation", False),
        (("train", "test"), "best", "test", False),
    ],
)
def test_an_epoch_was_chosen_only_where_the_best_was_kept_by_the_validation_part(
    parts: tuple[str, ...], keep: str, name: str, chosen: bool
) -> None:
    split, timing = pd.DataFrame({"split": parts}), pd.DataFrame({"finished_at": []})
    figure = plot_training(history(4), split, timing, metric="val_loss", keep=keep, show_time=False)
    said = texts(figure)
    assert said.count(name) == 2
    assert any("kept: lowest loss" in text for text in said) is chosen


def test_the_end_of_the_training_is_the_last_finished_at() -> None:
    timing = pd.DataFrame({"finished_at": ["noon", "one"]})
    options = OPTIONS | {"show_time": True}
    ended = [
        plot_training(history(3), pd.DataFrame({"split": ["val"]}), rows, **options)
        for rows in (timing, timing.head(0))
    ]
    assert [figure.get_supxlabel() for figure in ended] == ["Training ended one", ""]


NEW_FIGURE = """
from reports.drawing.plot import Plot
from reports.drawing.style import sentence

PLOT = Plot(
    name="sizes",
    title="Sizes of the classes",
    caption="How many pictures each class has.",
    tables=("per_class.csv",),
    draw=lambda per_class: sentence(f"{per_class['support'].sum()} pictures."),
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
    monkeypatch.setattr(embedded_figures, "PLOTS", plots)
    *_, (name, figure) = figures("two", tmp_path / "tables")
    assert (name, texts(figure)) == ("sizes", ["20 pictures."])
    per_class = {"per_class.csv": EVALUATIONS["two"].per_class}
    (shown,) = embedded_figures.embed({"sizes": b"png"}, per_class)
    assert (shown.title, shown.alternative) == ("Sizes of the classes", "Sizes of 2 classes.")


def test_records_are_read_without_what_computes_and_draws() -> None:
    code = (
        "import sys, tasks.plot, tasks.report, reports.html, reports.model_card; "
        "assert not {'matplotlib', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
