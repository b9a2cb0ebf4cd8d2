"""Drift: class shares and mean confidence, by hand and in the cases that are undefined."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import binomtest, hypergeom

from reports import drift
from tests.reports.evaluation.samples import predictions


def classed(names: str, groups: Sequence[str] | None = None) -> pd.DataFrame:
    """Make an image a letter, each its own group unless groups are given."""
    given = list(groups or [""] * len(names))
    paths = [f"{place}.png" for place in range(len(names))]
    return pd.DataFrame({"path": paths, "group": given, "class": list(names)}, dtype=object)


def sure(confidences: npt.ArrayLike, groups: Sequence[str] | None = None) -> pd.DataFrame:
    values = np.asarray(confidences, dtype=float)
    table = classed("A" * len(values), groups)
    return table.assign(confidence=values)


def answers(names: str, confidence: float, *, start: int = 0, spread: float = 0.0) -> pd.DataFrame:
    """Make held-out or new answers of classes A and B, all right, each image its own group."""
    shares = []
    for place, name in enumerate(names):
        top = confidence + spread * (-1) ** place
        shares.append([top, 1 - top] if name == "A" else [1 - top, top])
    groups = [f"g{start + place}" for place in range(len(names))]
    table = predictions(("A", "B"), list(names), shares, groups)
    return table.assign(path=[f"{start + place}.png" for place in range(len(names))])


def split_of(names: str) -> pd.DataFrame:
    table = classed(names).rename(columns={"class": "label"})
    return table.assign(split="train", group=[f"t{place}" for place in range(len(names))])


def test_shares_and_wilsons_interval_by_hand() -> None:
    table = drift.class_shares(classed("AAAB"), classed("ABBB" * 4), classed("AB"))
    assert list(table.columns) == [
        "class", "reference_n", "reference_share", "new_n", "new_share", "new_share_low",
        "new_share_high", "training_n", "training_share",
    ]  # fmt: skip
    row = table.iloc[0]
    assert list(row[["class", "reference_n", "reference_share"]]) == ["A", 3, 0.75]
    assert list(row[["new_n", "new_share", "training_n", "training_share"]]) == [4, 0.25, 1, 0.5]
    expected = binomtest(4, 16).proportion_ci(method="wilson")
    assert (row["new_share_low"], row["new_share_high"]) == pytest.approx(tuple(expected))


def test_classes_are_those_of_all_tables_and_of_the_model() -> None:
    table = drift.class_shares(classed("AA"), classed("NN"), classed("A"), ["Z"])
    assert table["class"].tolist() == ["A", "N", "Z"]
    assert table["reference_share"].tolist() == [1, 0, 0]
    assert table["new_share"].tolist() == [0, 1, 0]


def test_images_of_few_groups_make_a_wide_interval() -> None:
    names = "A" * 30 + "B" * 30
    groups = [str(place // 5) for place in range(60)]
    alone = drift.class_shares(classed("A"), classed(names), classed("A")).iloc[0]
    grouped = drift.class_shares(classed("A"), classed(names, groups), classed("A")).iloc[0]
    assert grouped["new_share_low"] < alone["new_share_low"] - 0.05
    assert grouped["new_share_high"] > alone["new_share_high"] + 0.05


@pytest.mark.parametrize(
    ("names", "groups", "shares"),
    [("AAB", ["g"] * 3, [2 / 3, 1 / 3]), ("", [], [math.nan] * 2)],
    ids=["one group", "an empty side"],
)
def test_one_group_has_shares_but_no_interval_and_an_empty_side_neither(
    names: str, groups: list[str], shares: list[float]
) -> None:
    table = drift.class_shares(classed("AB"), classed(names, groups), classed("AB"))
    assert table["new_share"].tolist() == pytest.approx(shares, nan_ok=True)
    assert table[["new_share_low", "new_share_high"]].isna().all(axis=None)


def test_the_test_agrees_with_the_exact_distribution_of_two_by_two_tables() -> None:
    # 12 and 20 groups, 9 and 6 of them A: of 32 groups 15 are A, and 12 are dealt to one side.
    old, new = classed("A" * 6 + "B" * 14), classed("A" * 9 + "B" * 3)
    chances = hypergeom(32, 15, 12)
    far = abs(9 - 12 * 15 / 32) - 1e-9
    exact = sum(chances.pmf(k) for k in range(13) if abs(k - 12 * 15 / 32) >= far)
    assert drift.compare_shares(old, new) == pytest.approx(exact, abs=0.006)


def test_a_group_counts_once_for_the_class_of_most_of_its_images() -> None:
    letters, groups = "", []
    for place in range(12):
        letters += "AAB" if place % 2 else "BBA"
        groups += [f"g{place}"] * 3
    alike = classed("AB" * 6)
    assert drift.compare_shares(alike, classed(letters, groups)) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [("AB" * 10, ""), ("", "AB" * 10), ("AB" * 10, "ABABABABA"), ("A" * 20, "A" * 20)],
    ids=["nothing new", "no reference", "9 groups", "one class"],
)
def test_where_shares_cannot_be_tested_there_is_no_number(old: str, new: str) -> None:
    assert drift.compare_shares(classed(old), classed(new)) is None


def test_the_difference_of_confidences_is_that_of_the_means_with_its_usual_error() -> None:
    random = np.random.default_rng(3)
    old, new = random.uniform(0.6, 1, 200), random.uniform(0.5, 0.9, 150)
    found = drift.compare_confidence(sure(old), sure(new))
    assert found["difference"] == pytest.approx(new.mean() - old.mean())
    half = 1.96 * math.sqrt(old.var() / 200 + new.var() / 150)
    assert found["low"] == pytest.approx(found["difference"] - half, abs=0.1 * half)
    assert found["high"] == pytest.approx(found["difference"] + half, abs=0.1 * half)
    assert (found["reference_n"], found["new_n"], found["new_groups"]) == (200, 150, 150)


def test_without_new_images_or_groups_no_difference_is_made_up() -> None:
    empty = drift.compare_confidence(sure([0.7, 0.8]), sure([]))
    assert empty["reference"] == pytest.approx(0.75)
    assert all(math.isnan(empty[name]) for name in ("new", "difference", "low", "high"))
    single = drift.compare_confidence(sure([0.7, 0.8]), sure([0.5, 0.6], ["g", "g"]))
    assert single["difference"] == pytest.approx(-0.2)
    assert math.isnan(single["low"] + single["high"])


def test_a_batch_that_differs_is_said_to_in_words_and_numbers() -> None:
    held_out = answers("AB" * 20, 0.9, spread=0.05)
    batch = answers("A" * 36 + "B" * 4, 0.7, start=100, spread=0.05)
    found, table = drift.of_batch(batch, held_out, split_of("AAAB" * 5))
    assert found["words"] == (
        "Drift: of the 40 new images 90 % are predicted A (77 to 96), of the held-out images "
        "50 % (75 % of the training part are of that class); mean confidence 0.700 against 0.900 "
        "on the held-out images (difference -0.200, -0.223 to -0.177). The class shares "
        "(p < 0.001) and the mean confidence differ by more than chance explains."
    )
    assert table["new_n"].tolist() == [36, 4]
    assert found["shares"][0]["new_share"] == 0.9


def test_a_batch_like_the_held_out_images_is_explained_by_chance() -> None:
    held_out = answers("AB" * 20, 0.9, spread=0.05)
    batch = answers("AB" * 11, 0.9, start=100, spread=0.05)
    found, _ = drift.of_batch(batch, held_out, split_of("AB" * 5))
    assert found["words"].endswith(
        "(difference 0.000, -0.028 to 0.029). Such differences may be chance (p = 1.000)."
    )


def test_images_that_the_models_data_hold_and_unread_ones_are_left_out() -> None:
    batch = answers("AB" * 6, 0.9, start=100)
    bad = pd.DataFrame({"path": ["bad.png"], "status": ["error"], "error": ["no picture"]})
    everything = pd.concat([batch, bad], ignore_index=True)
    found, _ = drift.of_batch(everything, answers("AB", 0.9), split_of("AB"), ["100.png"])
    assert found["new"] == {"pictures": 11, "groups": 11}
    assert found["left_out"] == 1
    nothing, _ = drift.of_batch(batch, answers("AB", 0.9), split_of("AB"), list(batch["path"]))
    assert nothing["words"] == (
        "All these images were in the model's data already; drift is not measured."
    )
    assert nothing["test"]["p_value"] is None


@pytest.mark.parametrize(
    ("names", "groups", "words"),
    [
        ("A", ["p0"], "1 new image is too few to tell."),
        ("ABABABABA", list("123456789"), "9 new images are too few to tell."),
        ("AB" * 20, ["p1", "p2"] * 20, "40 new images of 2 groups are too few to tell."),
    ],
)
def test_fewer_than_ten_new_groups_are_too_few_to_tell(
    names: str, groups: list[str], words: str
) -> None:
    new = answers(names, 0.5, start=100).assign(group=groups)
    found, _ = drift.since_training(new, answers("AB" * 20, 0.9), split_of("AB" * 10))
    assert found["words"] == f"Drift: {words}"


def test_labelled_images_are_compared_by_their_true_classes_with_the_training_part() -> None:
    new = answers("AB" * 10, 0.8, start=100).assign(label=["B", "B", "B", "A"] * 5)
    found, table = drift.since_training(new, answers("AB" * 10, 0.8), split_of("AB" * 20))
    assert table["new_n"].tolist() == [5, 15]
    assert table["reference_n"].tolist() == table["training_n"].tolist() == [20, 20]
    assert "75 % are B (53 to 89), of the training part 50 %; mean" in found["words"]


def test_new_images_of_patients_that_were_trained_on_count_in_no_mean_confidence() -> None:
    new = answers("AB" * 10, 0.8, start=100)
    new.loc[:4, "confidence"] = 1.0
    learnt = new["path"].head(5).tolist()
    found, _ = drift.since_training(new, answers("AB" * 10, 0.8), split_of("AB" * 20), learnt)
    assert found["left_out"] == 5
    assert found["new"]["pictures"] == 20
    assert found["confidence"]["new_n"] == 15
    assert found["confidence"]["new"] == pytest.approx(0.8)
    found, _ = drift.since_training(new, answers("AB", 0.8), split_of("AB" * 20), list(new["path"]))
    assert "; there is no mean confidence to compare. Such differences may" in found["words"]


def test_a_new_class_is_compared_too() -> None:
    new = answers("AB" * 10, 0.8, start=100).assign(label="\x1b[2J")
    found, _ = drift.since_training(new, answers("AB" * 10, 0.8), split_of("AB" * 20))
    (unknown,) = (row for row in found["shares"] if row["class"] == "\x1b[2J")
    assert (unknown["reference_share"], unknown["new_share"]) == (0, 1)
    assert r"100 % are \x1b[2J (" in found["words"], "a name cannot steer a terminal"
    assert found["test"]["p_value"] < 0.001


def test_one_class_alone_gives_no_test_and_says_what_cannot_be_told() -> None:
    held_out, new = answers("A" * 20, 0.8), answers("A" * 20, 0.8, start=100)
    found, _ = drift.since_training(new, held_out, split_of("A" * 20))
    assert found["test"]["p_value"] is None
    assert found["words"].endswith("Whether chance explains it can't be told.")


def test_the_same_images_give_the_same_numbers() -> None:
    held_out, split = answers("AB" * 20, 0.9, spread=0.05), split_of("AB" * 5)
    batch = answers("AAB" * 11, 0.8, start=100, spread=0.05)
    twice: list[dict[str, Any]] = [drift.of_batch(batch, held_out, split)[0] for _ in range(2)]
    assert twice[0] == twice[1]


def test_how_many_new_images_are_unlike_the_training_images_is_said_with_the_interval() -> None:
    new, held_out = answers("AB" * 10, 0.9, start=100), answers("AB" * 20, 0.9)
    far = [1.0] * 8 + [0.96] + [0.95, 0.5] * 5 + [math.nan]
    found, _ = drift.of_batch(new.assign(unlike_training=far), held_out, split_of("AB" * 20))
    low, high = binomtest(9, 19).proportion_ci(method="wilson")
    assert found["unlike"] == {
        "pictures": 19, "unlike": 9, "share": pytest.approx(9 / 19), "low": pytest.approx(low),
        "high": pytest.approx(high), "expected": pytest.approx(0.05),
    }  # fmt: skip
    assert (
        "9 of 19 images are unlike the training images: 47.4 % (27-68), more than the 5 % of images"
        in found["words"]
    )
    few = new.assign(unlike_training=[1.0] + [0.5] * 19)
    words = drift.of_batch(few, held_out, split_of("AB" * 20))[0]["words"]
    assert "1 of 20 images is unlike the training images" in words
    assert "Of images like those held out 5 % would be." in words


def test_where_it_is_not_known_which_images_are_unlike_nothing_is_said_of_it() -> None:
    new, held_out = answers("AB" * 10, 0.9, start=100), answers("AB" * 20, 0.9)
    for batch in (new, new.assign(unlike_training=math.nan)):
        found, _ = drift.of_batch(batch, held_out, split_of("AB" * 20))
        assert found["unlike"] is None
        assert "unlike" not in found["words"]
