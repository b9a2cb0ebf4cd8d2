from collections.abc import Sequence

import pandas as pd
import pytest

from reports.evaluation.comparison import compare, pool, verdict


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
    with pytest.raises(ValueError, match=r"test each picture once, got '0\.png' twice \(4 such"):
        pool([predictions("abab"), predictions("abab")])


def test_folds_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="know the same classes"):
        pool([predictions("ab"), predictions("ab", first=2, classes="abc")])


def test_figures_and_differences_are_those_of_the_balanced_accuracy() -> None:
    table = compared("ab" * 20, "aa" * 20)
    assert table["recipe"].tolist() == ["x", "y"]
    assert table["n"].tolist() == [40, 40]
    assert table["groups"].tolist() == [40, 40]
    assert table["balanced_accuracy"].tolist() == [1.0, 0.5]
    assert table["difference"].isna().tolist() == [True, False]
    assert table["difference"].iloc[1] == -0.5


def test_a_recipe_that_errs_on_half_of_the_patients_more_is_worse() -> None:
    (line,) = verdict(compared("ab" * 20, "ab" * 10 + "ba" * 10))
    assert line.startswith("y is worse than x: balanced accuracy -50.0 points (95 %: -")
    assert line.endswith("50.0 % of 40 groups.")


def test_a_recipe_that_errs_on_others_is_not_told_apart() -> None:
    (line,) = verdict(compared("ba" + "ab" * 19, "ab" * 19 + "ba"))
    assert line.startswith("y is not told apart from x: balanced accuracy 0.0 points")


def test_equal_answers_are_said_to_be_equal() -> None:
    (line,) = verdict(compared("ab" * 20, "ab" * 20))
    assert line == (
        "y and x have no interval between them: their balanced accuracies "
        "differ by 0.0 points in every draw."
    )


def test_wrong_throughout_against_right_throughout_has_no_interval() -> None:
    (line,) = verdict(compared("ab" * 20, "ba" * 20))
    assert line.endswith(
        "no interval between them: their balanced accuracies differ by -100.0 points in every draw."
    )


def test_one_group_says_nothing() -> None:
    tables = {name: predictions(answers) for name, answers in (("x", "abab"), ("y", "abbb"))}
    for table in tables.values():
        table["group"] = "one"
    assert verdict(compare(tables)) == ["y and x have no interval between them: too few groups."]


def test_classes_of_one_group_each_say_nothing_since_no_draw_holds_them_all() -> None:
    names = [chr(ord("a") + place) for place in range(26)]
    tables = {}
    for recipe, answers in (("x", names), ("y", [*names[1:], "a"])):
        table = predictions("a" * 26, classes="".join(names))
        tables[recipe] = table.assign(label=names, predicted=answers)
    assert verdict(compare(tables)) == ["y and x have no interval between them: too few groups."]


def test_every_further_recipe_is_compared_with_the_first() -> None:
    assert [line[0] for line in verdict(compared("ab" * 9, "ba" * 9, "aa" * 9))] == ["y", "z"]
