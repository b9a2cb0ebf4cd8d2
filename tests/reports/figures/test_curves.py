from pathlib import Path

import numpy as np

from reports.drawing.style import save_figure
from reports.figures.curves import best_epoch, plot_curves
from tests.reports.figures.samples import history, points, texts


def test_curves_have_a_panel_for_accuracy_and_one_for_loss() -> None:
    figure = plot_curves(history(8), validation_name="validation")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Accuracy", "Loss"]
    assert texts(figure).count("train") == texts(figure).count("validation") == 2


def test_the_best_epoch_has_the_highest_accuracy_of_equals_the_lowest_loss() -> None:
    table = history(4).assign(val_loss=[0.9, 0.5, 0.4, 0.1], val_accuracy=[0.6, 0.6, 0.6, 0.2])
    figure = plot_curves(table, validation_name="validation")
    assert best_epoch(table) == 3
    assert "epoch 3 kept: highest accuracy" in texts(figure)
    assert "epoch 3 kept" in texts(figure)


def test_of_equal_epochs_the_first_is_the_best() -> None:
    table = history(3).assign(val_loss=[0.9, 0.5, 0.5], val_accuracy=[0.1, 0.6, 0.6])
    assert best_epoch(table) == 2


def test_the_validation_line_has_the_name_it_was_given_and_the_caption_shows() -> None:
    figure = plot_curves(history(3), validation_name="test", caption="Trained until noon")
    assert "test" in texts(figure)
    assert "validation" not in texts(figure)
    assert figure.get_supxlabel() == "Trained until noon"


def test_without_validation_only_the_training_lines_are_drawn() -> None:
    table = history(5, measured=False)
    figure = plot_curves(table, validation_name="validation")
    assert best_epoch(table) is None
    assert texts(figure) == ["train", "train"]
    assert all(len(axes.lines) == 1 for axes in figure.axes)


def test_one_epoch_is_drawn_as_points_on_a_whole_epoch(tmp_path: Path) -> None:
    figure = plot_curves(history(1), validation_name="validation")
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert list(figure.axes[0].get_xticks()) == [1]
    assert all(path.stat().st_size for path in save_figure(figure, tmp_path, "curves"))


def test_the_lines_are_the_columns_of_the_history() -> None:
    table = history(6)
    for axes, measure in zip(
        plot_curves(table, validation_name="validation").axes, ("accuracy", "loss"), strict=True
    ):
        for place, part in enumerate(("train", "val")):
            expected = table[["epoch", f"{part}_{measure}"]].to_numpy()
            np.testing.assert_array_equal(points(axes, place), expected)


def test_the_mark_stands_at_the_best_epoch_in_both_panels() -> None:
    table = history(4).assign(val_loss=[0.9, 0.5, 0.4, 0.1], val_accuracy=[0.6, 0.6, 0.6, 0.2])
    accuracy, loss = plot_curves(table, validation_name="validation").axes
    assert points(accuracy, -1).tolist() == [[3, 0.6]]
    assert points(loss, -1).tolist() == [[3, 0.4]]


def test_chosen_by_the_loss_the_best_epoch_is_the_first_with_the_lowest() -> None:
    table = history(4).assign(val_loss=[0.9, 0.1, 0.4, 0.1], val_accuracy=[0.6, 0.3, 0.6, 0.9])
    assert best_epoch(table, "val_loss") == 2
    written = texts(plot_curves(table, validation_name="validation", best_by="val_loss"))
    assert "epoch 2 kept: lowest loss" in written
    assert "epoch 2 kept" in written


def test_what_chose_an_epoch_is_marked_and_never_written_as_a_score() -> None:
    table = history(4).assign(
        val_loss=[0.913, 0.137, 0.4, 0.2], val_accuracy=[0.6, 0.937, 0.6, 0.9]
    )
    for best_by in ("val_loss", "val_accuracy"):
        written = " ".join(texts(plot_curves(table, validation_name="v", best_by=best_by)))
        assert "epoch 2 kept" in written
        assert not [figure for figure in ("93.7", "0.937", "0.137") if figure in written]


def test_where_nothing_was_chosen_no_epoch_is_marked() -> None:
    figure = plot_curves(history(5), validation_name="test", best_by=None)
    assert all(len(axes.lines) == 2 for axes in figure.axes)
    assert not [text for text in texts(figure) if "epoch" in text]


def test_an_epoch_without_a_value_is_a_gap() -> None:
    table = history(5)
    table.loc[2, ["val_loss", "val_accuracy"]] = np.nan
    figure = plot_curves(table, validation_name="validation")
    assert np.isnan(points(figure.axes[0], 1)[:, 1]).tolist() == [False, False, True, False, False]


def test_a_training_without_an_epoch_is_said() -> None:
    figure = plot_curves(history(0), validation_name="validation")
    assert texts(figure) == ["No learning curves: the network was not trained for a single epoch."]
