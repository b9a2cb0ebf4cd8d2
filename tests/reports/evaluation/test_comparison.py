from collections.abc import Sequence

import pandas as pd
import pytest

from reports.evaluation.comparison import compare, verdict
from reports.evaluation.folds import pool


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
