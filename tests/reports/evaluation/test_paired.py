import math

import numpy as np
import pandas as pd
import pytest

from reports.evaluation import paired
from reports.evaluation.bootstrap import tail_of
from reports.evaluation.metrics import select
from reports.evaluation.paired import Difference, Signs, read_pair
from tests.reports.evaluation.samples import clustered, predictions

CLASSES = ["a", "b", "c"]


def difference(a: pd.DataFrame, b: pd.DataFrame, name: str, draws: int = 2000) -> Difference:
    (metric,) = select([name])
    return paired.difference(*read_pair(a, b), metric, draws=draws)


def sign_test(a: pd.DataFrame, b: pd.DataFrame) -> Signs:
    return paired.sign_test(*read_pair(a, b))


def luck(a: pd.DataFrame, b: pd.DataFrame, name: str, *, allowed: float) -> float:
    (metric,) = select([name])
    return paired.luck(*read_pair(a, b), metric, allowed=allowed)


def pair() -> tuple[pd.DataFrame, pd.DataFrame]:
    """a is right on 4 of 6 pictures, b on 5."""
    true = ["a", "a", "a", "b", "b", "b"]
    right, wrong = {"a": [0.9, 0.1], "b": [0.1, 0.9]}, {"a": [0.1, 0.9], "b": [0.9, 0.1]}
    a = [right["a"], right["a"], wrong["a"], right["b"], right["b"], wrong["b"]]
    b = [right["a"], right["a"], right["a"], right["b"], right["b"], wrong["b"]]
    return predictions(["a", "b"], true, a), predictions(["a", "b"], true, b)


def test_a_difference_is_b_less_a_and_counts_the_draws_in_which_b_is_no_better() -> None:
    a, b = pair()
    found = difference(a, b, "accuracy")
    assert found.value == pytest.approx(1 / 6)
    # how often the third of six was drawn: 4 or less in 99.93 %, 3 or less in 99.13 %
    assert tail_of(6) == pytest.approx(0.0024, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((0, 4 / 6))
    # b is better wherever the third picture was drawn: 1 - (5 / 6) ** 6
    assert found.not_better == pytest.approx((5 / 6) ** 6, abs=0.03)
    assert difference(a, b, "balanced_accuracy").value == pytest.approx((1 - 2 / 3) / 2)


def test_both_tables_are_drawn_alike_so_that_equal_ones_never_differ() -> None:
    table = clustered(CLASSES, 15, seed=2)
    found = difference(table, table.sample(frac=1, random_state=1), "auroc")
    assert found.value == 0
    assert found.not_better == 1


def test_of_a_loss_the_lower_one_is_better_and_without_an_image_there_is_no_difference() -> None:
    a, b = pair()
    assert difference(a, b, "log_loss").value < 0
    assert difference(a, b, "log_loss").not_better < 0.5 < difference(b, a, "log_loss").not_better
    found = difference(a.iloc[:0], b.iloc[:0], "accuracy")
    assert math.isnan(found.value + found.not_better)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"path": "other.jpg"}, "same images, got 6 and 6, 2 of them in one table only: 'other"),
        ({"status": "error"}, "same images, got 6 and 5, 1 of them in one table only"),
        ({"label": "b"}, "the same label, got another one for 'test/0.jpg'"),
        ({"group": "x"}, "the same group, got another one for 'test/0.jpg'"),
    ],
)
def test_tables_of_different_images_are_refused(change: dict[str, str], expected: str) -> None:
    a, b = pair()
    for column, value in change.items():
        b.loc[0, column] = value
    with pytest.raises(ValueError, match=expected):
        read_pair(a, b)
    with pytest.raises(ValueError, match="the same classes"):
        read_pair(a, a.rename(columns={"p_b": "p_c"}))


# ---------------------------------------------------------------- luck


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([[0]] * 6 + [[1]] * 4, [[1]] * 10, 1 / 2**6),  # only swapping none gives that lead
        ([[0]] * 5 + [[1]], [[1]] * 5 + [[0]], 7 / 2**6),  # five of six: 1 + 6 of 64 swaps
        ([[0] * 10] * 2, [[1] * 10] * 2, 1 / 4),  # two groups of ten: swapped as wholes
    ],
)
def test_luck_is_the_share_of_swaps_with_at_least_that_lead(
    a: list[list[int]], b: list[list[int]], expected: float
) -> None:
    found = luck(graded(a), graded(b), "accuracy", allowed=0.002)
    assert found == pytest.approx(expected, abs=0.05 * expected**0.5)


def test_luck_is_one_sided_and_certain_where_nothing_differs() -> None:
    a, b = graded([[0]] * 8), graded([[1]] * 8)
    assert luck(b, a, "accuracy", allowed=0.025) == pytest.approx(1, abs=1e-3)
    assert luck(a, a, "balanced_accuracy", allowed=0.025) == 1
    assert math.isnan(luck(a.iloc[:0], a.iloc[:0], "accuracy", allowed=0.025))


def test_luck_of_the_log_loss_is_the_share_of_swaps_with_so_low_a_loss() -> None:
    """Hold it against all 2^8 swaps, written out; of the two groups one is answered worse."""
    rng = np.random.default_rng(1)
    true = [*"abababab", *"abababab"]
    names = [f"g{place // 2}" for place in range(16)]
    a, b = (predictions(["a", "b"], true, rng.dirichlet([2, 2], 16).tolist(), names) for _ in "12")
    gains = [
        math.log(new[f"p_{label}"] / old[f"p_{label}"])
        for label, old, new in zip(true, a.to_dict("records"), b.to_dict("records"), strict=True)
    ]
    of_groups = np.add.reduceat(gains, np.arange(0, 16, 2))
    signs = 1 - 2 * ((np.arange(256)[:, np.newaxis] >> np.arange(8)) & 1)
    expected = float((signs @ of_groups >= of_groups.sum() - 1e-9).mean())
    assert luck(a, b, "log_loss", allowed=0.002) == pytest.approx(expected, abs=0.015)
    assert luck(a, a, "log_loss", allowed=0.025) == 1


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_luck_swaps_what_the_metric_is_made_from(metric: str) -> None:
    """Hold the leads against those of tables whose answers were swapped by hand."""
    a = clustered(CLASSES, 6, seed=5)
    b = a.assign(predicted=a["label"])
    b.loc[b["group"] == "test3", "predicted"] = "c"
    names = sorted(set(a["group"]))
    lead = difference(a, b, metric).value
    reached = 0
    for number in range(2 ** len(names)):
        swapped = a["group"].isin([n for place, n in enumerate(names) if number >> place & 1])
        one, other = (
            kept.assign(predicted=kept["predicted"].where(~swapped, gone["predicted"]))
            for kept, gone in ((a, b), (b, a))
        )
        reached += difference(one, other, metric, draws=2).value >= lead - 1e-12
    expected = reached / 2 ** len(names)
    assert 0 < expected < 0.4, "else this says nothing"
    assert luck(a, b, metric, allowed=0.001) == pytest.approx(expected, abs=0.03)


# ---------------------------------------------------------------- the sign test


def graded(right: list[list[int]]) -> pd.DataFrame:
    """A group a list, a picture a number: 1 where it was given its class."""
    groups = [f"g{place}" for place, hits in enumerate(right) for _ in hits]
    shares = [[0.9, 0.1] if hit else [0.1, 0.9] for hits in right for hit in hits]
    return predictions(["a", "b"], ["a"] * len(groups), shares, groups)


def test_a_group_counts_once_and_for_the_model_that_got_more_of_it_right() -> None:
    a = graded([[0, 0, 0], [1, 0], [1, 0], [1], [0]])
    b = graded([[1, 1, 1], [1, 1], [0, 1], [0], [0]])
    assert sign_test(a, b) == Signs(better=2, worse=1, p=1.0)
    assert sign_test(b, a) == Signs(better=1, worse=2, p=1.0)


def test_the_sign_test_is_exact_and_two_sided() -> None:
    six = sign_test(graded([[0]] * 6), graded([[1]] * 6))
    assert (six.better, six.worse) == (6, 0)
    assert six.p == pytest.approx(2 / 2**6)
    mixed = sign_test(graded([[0]] * 7 + [[1]]), graded([[1]] * 7 + [[0]]))
    assert mixed.p == pytest.approx(2 * (1 + 8) / 2**8)


def test_models_that_answer_alike_have_no_signs() -> None:
    table = clustered(CLASSES, 15, seed=2)
    shuffled = table.sample(frac=1, random_state=np.random.RandomState(1))
    assert sign_test(table, shuffled) == Signs(0, 0, 1.0)
    assert sign_test(table.iloc[:0], table.iloc[:0]) == Signs(0, 0, 1.0)


def test_holm_takes_the_smallest_of_m_times_m_and_lets_none_fall_below_the_one_before() -> None:
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.9, 0.8]) == [1.0, 1.0]
    assert paired.holm([0.04]) == [0.04]


def test_what_has_no_p_value_counts_for_nothing() -> None:
    first, *others = paired.holm([math.nan, 0.01, 0.04])
    assert math.isnan(first)
    assert others == pytest.approx([0.02, 0.04])


def test_a_p_value_is_that_of_a_difference_either_way() -> None:
    a, b = pair()
    (metric,) = select(["accuracy"])
    # one group differs, and luck gives it to either model
    assert paired.p_value(*read_pair(a, b), metric) == 1.0
    one, other = clustered(CLASSES, 40, seed=1), clustered(CLASSES, 40, seed=1)
    other.loc[other.index < 60, "predicted"] = other["label"]
    forth, back = (paired.p_value(*read_pair(*two), metric) for two in ((one, other), (other, one)))
    assert forth == pytest.approx(back, abs=0.01)
    assert forth < 0.01
