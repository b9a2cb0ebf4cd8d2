import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from reports.evaluation.comparison import (
    compare,
    fold_mean,
    random_verdict,
    verdict,
)
from reports.evaluation.folds import pool, pool_repeats


def predictions(answers: str, *, first: int = 0, classes: str = "ab") -> pd.DataFrame:
    """A row an answer, for pictures of the classes a, b, a, b ..., each of its own patient."""
    numbers = range(first, first + len(answers))
    return pd.DataFrame(
        {
            "path": [f"{n}.png" for n in numbers],
            "label": ["ab"[n % 2] for n in numbers],
            "group": [f"patient {n}" for n in numbers],
            "split": "test",
            "predicted": list(answers),
            "confidence": 0.9,
            **{f"p_{name}": [0.9 if name == each else 0.1 for each in answers] for name in classes},
            "status": "ok",
            "error": "",
        }
    )  # fmt: skip


def compared(*answers: str) -> pd.DataFrame:
    return compare({name: predictions(each) for name, each in zip("xyz", answers, strict=False)})


def folds(*answers: str) -> Sequence[pd.DataFrame]:
    starts = [sum(map(len, answers[:place])) for place in range(len(answers))]
    return [predictions(each, first=start) for each, start in zip(answers, starts, strict=True)]


def test_folds_are_put_together_and_rows_that_do_not_count_left_out() -> None:
    one, two = folds("abab", "abbb")
    one.loc[0, "split"] = "val"
    two.loc[3, "status"] = "error"
    assert pool([one, two])["path"].tolist() == [f"{n}.png" for n in range(1, 7)]


def test_a_picture_that_two_folds_test_is_refused() -> None:
    with pytest.raises(ValueError, match=r"test each image once, got '0\.png' twice \(4 such"):
        pool([predictions("abab"), predictions("abab")])


def test_folds_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="have the same classes"):
        pool([predictions("ab"), predictions("ab", first=2, classes="abc")])


def test_figures_and_differences_are_those_of_the_balanced_accuracy() -> None:
    table = compared("ab" * 20, "aa" * 20)
    assert table[["recipe", "n", "groups", "balanced_accuracy"]].to_numpy().tolist() == [
        ["x", 40, 40, 1.0],
        ["y", 40, 40, 0.5],
    ]
    assert table["difference"].isna().tolist() == [True, False]
    assert table["difference"].iloc[1] == -0.5


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("ab" * 10 + "ba" * 10, "is worse than x: balanced accuracy -50.0 points (95 %: -"),
        ("ba" + "ab" * 19, "is not told apart from x: balanced accuracy -5.0 points (95 %: -"),
        ("ab" * 20, "and x have no interval between them: their balanced accuracies differ"),
        (
            "ba" * 20,
            "and x have no interval between them: their balanced accuracies differ",
        ),
    ],
    ids=["half wrong", "two wrong", "equal", "all wrong"],
)
def test_a_recipe_is_told_apart_where_the_interval_allows_it(answers: str, words: str) -> None:
    (line,) = verdict(compared("ab" * 20, answers))
    assert line.startswith(f"y {words}")
    assert line.endswith((" of 40 groups.", "points in every draw."))


def test_one_group_and_classes_of_one_group_each_say_nothing() -> None:
    answers = {"x": "abab", "y": "abbb"}
    one = {name: predictions(each).assign(group="one") for name, each in answers.items()}
    names = [chr(ord("a") + number) for number in range(26)]
    table = predictions("a" * 26, classes="".join(names)).assign(label=names, predicted=names)
    each = {"x": table, "y": table.assign(predicted=[*names[1:], "a"])}  # no draw holds them all
    for tables in (one, each):
        assert verdict(compare(tables)) == [
            "y and x have no interval between them: too few groups."
        ]


def test_every_further_recipe_is_compared_with_the_first() -> None:
    assert [line[0] for line in verdict(compared("ab" * 9, "ba" * 9, "aa" * 9))] == ["y", "z"]


def ranked(shares: dict[str, list[float]], *, first: int = 0) -> pd.DataFrame:
    """A row a probability of b, the pictures of each class in turn, each of its own patient."""
    pairs = [(name, share) for name, each in shares.items() for share in each]
    table = predictions("".join("ab"[share > 0.5] for _, share in pairs), first=first)
    found = [share for _, share in pairs]
    return table.assign(
        label=[name for name, _ in pairs], p_b=found, p_a=[1 - share for share in found]
    )


def test_the_auroc_is_the_mean_of_the_folds_own_and_the_pooled_one_stands_beside_it() -> None:
    # 3 of 4 pairs are in order in the first fold, all 4 in the second, whose scale is another.
    one = ranked({"a": [0.6, 0.8], "b": [0.7, 0.9]})
    two = ranked({"a": [0.1, 0.2], "b": [0.3, 0.4]}, first=4)
    table = compare({"x": pool([one, two])})
    assert table["auroc_mean_of_folds"].tolist() == [(0.75 + 1) / 2]
    # of 16 pairs 7 are in order within a fold; of those across, b of fold 1 above a of fold 2: 4
    assert table["auroc_pooled"].tolist() == [11 / 16]


def test_a_fold_that_holds_one_class_is_left_out_of_the_mean_auroc() -> None:
    one = ranked({"a": [0.6, 0.8], "b": [0.7, 0.9]})
    two = ranked({"a": [0.1, 0.2]}, first=4)
    assert fold_mean(pool_repeats([one, two], 2)).value == 0.75
    assert math.isnan(fold_mean(pool_repeats([two], 1)).value)


def test_groups_are_drawn_within_the_folds() -> None:
    # Within each fold every draw ranks perfectly, though the folds' scales do not overlap.
    one = ranked({"a": [0.6, 0.7, 0.6], "b": [0.8, 0.9, 0.8]})
    two = ranked({"a": [0.1, 0.2, 0.1], "b": [0.3, 0.4, 0.3]}, first=6)
    found = fold_mean(pool_repeats([one, two], 2))
    assert (found.groups, found.folds) == (12, 2)
    assert np.nanmin(found.draws) == np.nanmax(found.draws) == 1.0


def test_differences_of_the_mean_auroc_are_those_of_the_same_draws() -> None:
    one = ranked({"a": [0.1, 0.4, 0.6], "b": [0.5, 0.7, 0.9]})
    table = compare({"x": pool([one]), "y": pool([one])})
    assert table["auroc_mean_of_folds_difference"].tolist()[1:] == [0.0]
    assert math.isnan(table["auroc_mean_of_folds_difference_low"][1]), "alike in every draw"


def test_seeds_are_pooled_with_the_group_as_the_unit() -> None:
    right, wrong = predictions("ab" * 10), predictions("ba" * 10)
    table = compare({"x": pool_repeats([right, wrong], 1)})
    row = table.iloc[0]
    assert row[["n", "groups", "seeds"]].tolist() == [20, 20, 2]
    assert row["balanced_accuracy"] == 0.5
    assert row["seed_spread"] == pytest.approx(np.std([1, 0], ddof=1))
    one = compare({"x": pool([right])}).iloc[0]
    assert math.isnan(one["seed_spread"])
    twice = compare({"x": pool_repeats([right, right], 1)}).iloc[0]
    assert twice["accuracy_low"] == one["accuracy_low"], "a second look at a patient adds none"


def test_p_values_are_adjusted_for_the_number_of_recipes() -> None:
    table = compared("ab" * 20, "ab" * 17 + "ba" * 3, "ab" * 20)
    worse, same = table["p"][1:]
    # luck gives all 6 differing groups to one recipe in 1 of 32 cases, either way
    assert worse == pytest.approx(1 / 32, abs=0.004)
    assert same == 1.0
    assert table["p_holm"].tolist()[1:] == [2 * worse, 1.0]


def test_what_several_recipes_may_owe_to_luck_is_not_told_apart() -> None:
    table = compared("ab" * 20, "ab" * 17 + "ba" * 3)
    assert verdict(table)[0].startswith("y is worse than x: balanced accuracy -15.0 points (95 %:")
    (line,) = verdict(table.assign(p_holm=0.09))
    assert line.startswith("y is not told apart from x: ")
    assert "; adjusted p 0.090)" in line


def test_a_random_split_is_said_beside_the_folds() -> None:
    tested = {"x": predictions("ab" * 4 + "ba" * 1)}
    random = {"x": predictions("ab" * 10).assign(split=["val"] * 10 + ["test"] * 10)}
    table = compare(tested, random)
    assert table[["random_n", "random_accuracy"]].to_numpy().tolist() == [[10, 1.0]]
    said = "x: a random split says 100.0 %, unseen groups 80.0 %."
    assert random_verdict(table) == [said]
    assert random_verdict(compare(tested)) == []
