from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.figures import gallery
from reports.figures.discrimination import plot_roc
from reports.figures.style import save_figure
from resnext.contracts import tables
from resnext.contracts.json_files import write_json
from tests.reports.figures.samples import class_names, history, nothing, scores

STEMS = [
    "curves",
    "confusion",
    "per_class",
    "roc",
    "precision_recall",
    "reliability",
    "confidences",
]
KINDS = ("png", "svg")
VALIDATION = gallery.Watched("validation", "val_accuracy", None)
LONG = ["melanocytic nevus of the very long name", "W" * 40, "a", *class_names(6)]
EVALUATIONS = {
    "two": scores(["Monkey Pox", "Others"], drawn=["Others"]),
    "nine": scores(LONG),
    "twenty": scores(class_names(20)),
    "hundred": scores(class_names(100), drawn=["(mean)"]),
    "nothing": nothing(["Monkey Pox", "Others"]),
}


def figures(name: str, epochs: int = 12) -> list[tuple[str, Figure]]:
    return list(gallery.plot_all(history(epochs), VALIDATION, EVALUATIONS[name]))


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
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = figures(name)
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
        for stem, figure in figures("two"):
            save_figure(figure, folder, stem)
        panels = EVALUATIONS["nine"]
        save_figure(plot_roc(panels.roc, panels.per_class, panels.metrics), folder, "panels")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(f"{stem}.{kind}" for stem in (*STEMS, "panels") for kind in KINDS)
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert b"<dc:date>" not in (tmp_path / "one" / file).read_bytes()


def test_without_a_test_picture_each_figure_is_a_sentence() -> None:
    for stem, figure in figures("nothing", epochs=0):
        (axes,) = figure.axes
        (text,) = axes.texts
        assert text.get_text().endswith("."), stem
        assert not axes.lines


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    expected = EVALUATIONS["two"]
    for name in ("roc", "precision_recall", "reliability", "confidences", "per_class"):
        tables.write_table(getattr(expected, name), tmp_path / f"{name}.csv")
    tables.write_confusion(expected.confusion, tmp_path / "confusion.csv")
    write_json(expected.metrics, tmp_path / "metrics.json")
    write_json(expected.calibration, tmp_path / "calibration.json")
    found = gallery.read_scores(tmp_path.joinpath)
    for name in ("roc", "reliability", "confusion"):
        assert getattr(found, name).to_csv() == getattr(expected, name).to_csv()
    assert found.metrics == expected.metrics
    assert found.calibration == expected.calibration


def parts(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"split": names, "reason": np.arange(len(names))})


@pytest.mark.parametrize(
    ("split", "keep", "name", "best_by"),
    [
        (("train", "val", "test"), "best", "validation", "val_loss"),
        (("train", "val", "test"), "last", "validation", None),
        (("train", "test"), "best", "test", None),
    ],
)
def test_an_epoch_was_chosen_only_where_the_best_was_kept_by_the_validation_part(
    split: tuple[str, ...], keep: str, name: str, best_by: str | None
) -> None:
    timing = pd.DataFrame({"finished_at": ["noon", "one"]})
    training = gallery.watched(parts(*split), timing, metric="val_loss", keep=keep, show_time=False)
    assert training == gallery.Watched(name, best_by, None)


def test_the_end_of_the_training_is_the_last_finished_at() -> None:
    timing = pd.DataFrame({"finished_at": ["noon", "one"]})
    ended = [
        gallery.watched(parts("val"), rows, metric="val_loss", keep="best", show_time=True).ended
        for rows in (timing, timing.head(0))
    ]
    assert ended == ["one", None]
