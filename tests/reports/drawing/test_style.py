from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.image import imread

from reports.drawing.style import save_figure, sentence
from reports.figures.confusion import plot_confusion
from tests.reports.figures.samples import history, matrix, texts
from tests.reports.figures.test_curves import plot


def test_a_persons_own_matplotlib_settings_change_nothing_and_stay(tmp_path: Path) -> None:
    plain = save_figure(plot_confusion(matrix(3)), tmp_path, "plain")[0]
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        own = save_figure(plot_confusion(matrix(3)), tmp_path, "own")[0]
        assert matplotlib.rcParams["font.size"] == 30
    assert own.read_bytes() == plain.read_bytes()
    assert b"Software" not in own.read_bytes()


def test_a_saved_figure_has_the_same_margin_on_all_sides(tmp_path: Path) -> None:
    pixels = np.asarray(imread(save_figure(plot(history(8)), tmp_path, "c")[0]))[..., :3]
    drawn = (pixels < 1).max(axis=2)  # (H, W)
    rows, columns = (np.flatnonzero(drawn.max(axis=axis)) for axis in (1, 0))
    margins = [rows[0], drawn.shape[0] - 1 - rows[-1], columns[0], drawn.shape[1] - 1 - columns[-1]]
    assert max(margins) - min(margins) <= 8  # of 150 dots an inch
    assert min(margins) >= 15


def test_a_long_sentence_is_broken_into_lines() -> None:
    (text,) = texts(sentence("word " * 40))
    assert max(map(len, text.splitlines())) <= 90
