import itertools

import pandas as pd
import pytest
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from reports.drawing.score_and_cost import plot_score_and_cost

SCORE = "balanced_accuracy"


def table(scores: list[float], costs: list[float], minutes: float = 1.0) -> pd.DataFrame:
    names = [f"resnext{place}_32x4d" for place in range(len(scores))]
    low, high = ([score + apart for score in scores] for apart in (-0.05, 0.05))
    made = {"recipe": names, SCORE: scores, f"{SCORE}_low": low, f"{SCORE}_high": high}
    return pd.DataFrame(made | {"multiply_adds": costs, "minutes": minutes})


def names_of(found: pd.DataFrame) -> dict[str, Bbox]:
    (axes,) = plot_score_and_cost(found).axes
    labels = [each for each in axes.texts if isinstance(each, Annotation)]
    return {each.get_text(): Text.get_window_extent(each) for each in labels}  # without its line


@pytest.mark.parametrize("count", [1, 2, 8])
def test_each_name_stands_beside_its_point_and_none_covers_another(count: int) -> None:
    scores = [0.6 + 0.002 * place for place in range(count)]
    boxes = names_of(table(scores, [(4 + 0.1 * place) * 1e9 for place in range(count)]))
    assert len(boxes) == count
    for one, other in itertools.combinations(boxes.values(), 2):
        assert Bbox.intersection(one.padded(-2), other.padded(-2)) is None


def test_cost_is_the_multiply_adds_or_of_one_network_the_minutes_on_a_log_axis() -> None:
    networks = plot_score_and_cost(table([0.6, 0.7], [1e9, 4e9])).axes[0]
    recipes = plot_score_and_cost(table([0.6, 0.7], [4e9, 4e9])).axes[0]
    assert networks.get_xlabel() == "Multiply-adds of an image (G)"
    assert networks.lines[0].get_xdata() == pytest.approx([1, 4])
    assert recipes.get_xlabel() == "Minutes of training"
    assert networks.get_xscale() == recipes.get_xscale() == "log"


def test_a_recipe_without_a_score_or_a_cost_is_left_out() -> None:
    found = table([0.6, float("nan")], [1e9, 4e9])
    assert list(names_of(found)) == ["resnext0_32x4d"]
    nothing = plot_score_and_cost(found.assign(**{SCORE: float("nan")}))
    assert nothing.axes[0].texts[0].get_text().startswith("No score against cost")
