from pathlib import Path

import pandas as pd
import pytest

from reports.comparison import ComparisonContent, render_comparison, with_costs
from reports.drawing import style
from reports.drawing.score_and_cost import plot_score_and_cost
from reports.evaluation.comparison import compare
from reports.sections import comparison
from tests.reports.evaluation.test_comparison import predictions
from tests.reports.test_html import EVIL


def timing(*seconds: float) -> pd.DataFrame:
    return pd.DataFrame({"epoch": range(1, len(seconds) + 1), "seconds": seconds})


def rate(images: int, seconds: float) -> pd.DataFrame:
    return pd.DataFrame({"images": [images], "seconds": [seconds]})


def compared(*names: str, random: bool = True) -> pd.DataFrame:
    answers = ["ab" * 20, "ab" * 10 + "ba" * 10, *["ab" * 15 + "aa" * 5] * 20]
    tested = {name: predictions(each) for name, each in zip(names, answers, strict=False)}
    scores = compare(tested, tested if random else None)
    size = {"parameters": 17_006_402, "multiply_adds": 1_718_828_704}
    return with_costs(
        scores,
        [size] * len(names),
        [[timing(30, 60)]] * len(names),
        [[rate(10, 2.0)]] * len(names),
        [None] * len(names),
    )


def content(folder: Path, table: pd.DataFrame, names: list[str]) -> ComparisonContent:
    image, _ = style.save_figure(plot_score_and_cost(table), folder, "comparison")
    recipes = {
        name: {"--lr": f"{0.1 * place:g}", "--epochs": "3"} for place, name in enumerate(names)
    }
    return ComparisonContent(
        data_name=EVIL, synthetic=False, table=table, figure=image.read_bytes(), recipes=recipes,
        command="compare.py a b", grouped=True, environment={"torch": "2"}, notes=[EVIL],
    )  # fmt: skip


def write_page(folder: Path, *names: str) -> Path:
    table = compared(*names)
    file = folder / "comparison.html"
    text = render_comparison(content(folder, table, list(names)))
    file.write_text(text, encoding="utf-8")
    return file


def test_costs_are_the_last_clock_of_each_training_and_a_probes_features_once() -> None:
    scores = pd.DataFrame({"recipe": ["network", "probe"]})
    sizes = [{"parameters": 5, "multiply_adds": 7}, {"parameters": 6, "multiply_adds": 8}]
    times = [[timing(30, 60), timing(60)], [timing(6), timing(6)]]
    rates = [[rate(10, 1.0), rate(30, 1.0)], [rate(10, 10.0)]]
    found = with_costs(scores, sizes, times, rates, [None, rate(40, 48.0)])
    assert found["minutes"].tolist() == [2.5, 1.0], "of all epochs"
    assert found["images_per_second"].tolist() == [20.0, 1.0]
    assert found["parameters"].tolist() == [5, 6]
    assert found["multiply_adds"].tolist() == [7, 8]


def test_the_table_of_the_page_holds_scores_differences_and_costs() -> None:
    found = {each.title: each.cells for each in comparison.columns(compared("one", "two"))}
    assert [cells[0]["text"] for cells in found.values()] == [
        *("100.0\u00a0%", "", "", "100.0\u00a0%", "100.0\u00a0%", "100.0\u00a0%"),
        *("1.000", "1.000", "0.105", "17.0 M", "1.72 G", "1.5", "5"),
    ]
    assert found["Difference"][1]["text"] == "-50.0"
    assert found["Adjusted p"][1]["text"] == "below 0.001"
    assert "A random split says" not in {
        each.title for each in comparison.columns(compared("one", "two", random=False))
    }


def test_settings_are_parted_into_those_that_differ_and_those_that_do_not() -> None:
    recipes = {"a": {"--lr": "1", "--epochs": "3"}, "b": {"--lr": "2", "--epochs": "3"}}
    assert comparison.differing(recipes) == [("--lr", ["1", "2"])]
    assert comparison.common(recipes) == {"--epochs": "3"}


def test_the_short_table_names_each_recipe_its_score_and_its_cost() -> None:
    _, row = comparison.short_rows(compared("one", "two"))
    assert row["recipe"] == "two"
    assert row["balanced accuracy"].startswith("50.0 % (")
    assert row["difference"] == "-50.0 (p below 0.001)"
    assert (row["multiply-adds"], row["minutes"]) == ("1.72 G", "1.5")


def test_names_are_escaped_and_what_is_said_stands_in_the_page(tmp_path: Path) -> None:
    page = write_page(tmp_path, "one", EVIL).read_text(encoding="utf-8")
    assert EVIL not in page
    assert "one: a random split says 100.0 %, unseen groups 100.0 %." in page
    assert "is worse than one: balanced accuracy -50.0 points" in page
    assert "nor on any other image of its group" in page


@pytest.mark.parametrize("what", ["p value", "interval"])
def test_the_page_says_what_its_figures_mean(what: str, tmp_path: Path) -> None:
    page = write_page(tmp_path, "one", "two").read_text(encoding="utf-8")
    assert what in page.partition("</table>")[2].partition("<h2")[0]
