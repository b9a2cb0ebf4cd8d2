from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reports.drawing.style import save_figure
from reports.figures.curves import PLOT, best_epoch, plot_training
from tests.reports.figures.samples import history, points, texts


def plot(
    table: pd.DataFrame,
    *,
    parts: Sequence[str] = ("train", "val", "test"),
    metric: str = "val_accuracy",
    keep: str = "best",
    ended: Sequence[str] = (),
    show_time: bool = True,
) -> Figure:
    split, timing = pd.DataFrame({"split": parts}), pd.DataFrame({"finished_at": ended})
    options = {"metric": metric, "keep": keep, "show_time": show_time}
    return plot_training(table, split, timing, **options)  # type: ignore[arg-type]


def test_the_lines_of_both_panels_are_the_columns_of_the_history() -> None:
    table = history(6)
    figure = plot(table)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Accuracy", "Loss"]
    assert texts(figure).count("train") == texts(figure).count("validation") == 2
    for axes, measure in zip(figure.axes, ("accuracy", "loss"), strict=True):
        for place, part in enumerate(("train", "val")):
            expected = table[["epoch", f"{part}_{measure}"]].to_numpy()
            np.testing.assert_array_equal(points(axes, place), expected)


@pytest.mark.parametrize(
    ("metric", "losses", "accuracies", "best"),
    [
        ("val_accuracy", [0.9, 0.5, 0.4, 0.1], [0.6, 0.6, 0.6, 0.2], 3),  # of equals by the loss
        ("val_accuracy", [0.9, 0.5, 0.5, 0.6], [0.1, 0.6, 0.6, 0.3], 2),  # the first of equals
        ("val_loss", [0.913, 0.137, 0.4, 0.137], [0.6, 0.937, 0.6, 0.95], 2),
    ],
)
def test_the_best_epoch_is_marked_in_both_panels_and_never_written_as_a_score(
    metric: str, losses: list[float], accuracies: list[float], best: int
) -> None:
    table = history(4).assign(val_loss=losses, val_accuracy=accuracies)
    figure = plot(table, metric=metric)
    assert best_epoch(table, metric) == best
    why = "highest accuracy" if metric == "val_accuracy" else "lowest loss"
    assert {f"epoch {best} kept: {why}", f"epoch {best} kept"} <= set(texts(figure))
    accuracy, loss = figure.axes
    assert points(accuracy, -1).tolist() == [[best, accuracies[best - 1]]]
    assert points(loss, -1).tolist() == [[best, losses[best - 1]]]
    written = " ".join(texts(figure))
    assert not [score for score in ("93.7", "0.937", "0.137") if score in written]


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
    figure = plot(history(4), parts=parts, keep=keep)
    assert texts(figure).count(name) == 2
    assert any("epoch" in text for text in texts(figure)) is chosen


def test_without_validation_only_the_training_lines_are_drawn() -> None:
    table = history(5, measured=False)
    figure = plot(table)
    assert best_epoch(table) is None
    assert texts(figure) == ["train", "train"]
    assert all(len(axes.lines) == 1 for axes in figure.axes)


def test_the_caption_speaks_of_a_validation_part_that_chose_only_where_something_was_measured() -> (
    None
):
    measured, alone = (
        PLOT.explain({"history.csv": history(5, measured=each)}) for each in (True, False)
    )
    assert "A marked epoch is the one whose weights were kept. The validation part chose it" in (
        measured
    )
    assert measured.endswith(
        "Where no epoch is marked, none was chosen: the last one's weights were kept."
    )
    assert "validation" not in alone
    assert "other does not" not in alone
    assert alone.endswith("no epoch was chosen: the last one's weights were kept.")


def test_one_epoch_is_drawn_as_points_on_a_whole_epoch(tmp_path: Path) -> None:
    figure = plot(history(1))
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert list(figure.axes[0].get_xticks()) == [1]
    assert all(path.stat().st_size for path in save_figure(figure, tmp_path, "curves"))


def test_an_epoch_without_a_value_is_a_gap() -> None:
    table = history(5)
    table.loc[2, ["val_loss", "val_accuracy"]] = np.nan
    gaps = np.isnan(points(plot(table).axes[0], 1)[:, 1])
    assert gaps.tolist() == [False, False, True, False, False]


def test_the_end_of_the_training_is_the_last_finished_at() -> None:
    assert plot(history(3), ended=["one"]).get_supxlabel() == "Training ended one"
    assert plot(history(3)).get_supxlabel() == ""
    assert plot(history(3), ended=["one"], show_time=False).get_supxlabel() == ""


def test_a_training_without_an_epoch_is_said() -> None:
    assert texts(plot(history(0))) == [
        "No learning curves: the network was not trained for a single epoch."
    ]
