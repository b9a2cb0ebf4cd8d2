import math
from typing import Any

import pytest

from reports.sections import score
from resnext.contracts.tables import confusion_table
from tests.reports.test_html import scores

METRICS: dict[str, Any] = {
    "n": 40,
    "groups": 12,
    "few_groups": True,
    "accuracy": 0.7,
    "accuracy_ci95": [0.5, 0.85],
    "balanced_accuracy": 0.6,
    "balanced_accuracy_ci95": None,
    "majority_accuracy": 0.55,
    "auroc": 0.75,
    "auroc_ci95": [0.6, 0.9],
    "brier": math.nan,
    "brier_ci95": None,
    "per_patient": {"n": 12, "accuracy": 0.75, "accuracy_ci95": [0.5, 0.9]},
    "operating_point": {
        "positive": "Pox",
        "threshold": 0.4,
        "chosen_on": "val",
        "rule": "greatest J on the validation part",
        "sensitivity": 0.8,
        "sensitivity_ci95": [0.6, 0.9],
        "specificity": 1.0,
        "specificity_ci95": None,
    },
}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("bounds", "fitted_on", "said"),
    [
        ([0.101, 0.3], None, True), ([0.1, 0.3], None, False), (None, None, False),
        ([0.101, 0.3], "val", False),
    ],
)  # fmt: skip
def test_probabilities_that_are_surely_far_off_are_warned_of_where_nothing_calibrates_them(
    bounds: list[float] | None, fitted_on: str | None, said: bool
) -> None:
    found = score.unusable({"ece": 0.2, "ece_ci95": bounds}, {"fitted_on": fitted_on})
    assert bool(found) == said
    assert ("calibration error is 20.0 % (95 %: 10.1 % to 30.0 %)" in plain(found)) == said


def test_a_baseline_inside_the_interval_is_said_to_be_a_matter_of_chance() -> None:
    table = scores(["a", "b"])
    assert score.verdict(METRICS, table).endswith("With so few groups that may be chance.")
    many = METRICS | {"few_groups": False, "groups": 400}
    assert "few groups" not in score.verdict(many, table)
    assert score.verdict(many, table).endswith(
        "That may be chance: the interval of the accuracy holds it."
    )
    surer = METRICS | {"accuracy_ci95": [0.6, 0.8]}
    assert plain(score.verdict(surer, table)) == (
        "15.0 percentage points above always answering “a” (55.0 %)."
    )


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (0.5, "5.0 percentage points below always"),
        (0.5501, "Just as often right as always"),
        (None, "No test image could be evaluated, so there is no score."),
    ],
)
def test_a_score_that_is_no_better_than_the_baseline_says_so(
    accuracy: float | None, words: str
) -> None:
    assert score.verdict(METRICS | {"accuracy": accuracy}, scores(["a", "b"])).startswith(words)


def test_a_network_with_one_answer_for_all_test_images_is_said_to_have_learned_nothing() -> None:
    table = scores(["circle", "square", "line"], precision=[math.nan, 1 / 3, math.nan])
    said = score.verdict(METRICS, table)
    assert said == (
        "The network answered “square” for every test image: it has not learned to tell the "
        "classes apart."
    )
    alone = table.assign(support=[0, 3, 0])
    assert score.only_answer(alone) == "", "one class alone was tested"
    assert score.only_answer(scores(["circle", "square"])) == ""


def test_bars_reach_as_far_as_their_intervals() -> None:
    accuracy, balanced, baseline = score.bars(METRICS, scores(["a", "b"]))
    assert accuracy.width == pytest.approx(70)
    assert accuracy.reach == pytest.approx((50, 35))
    assert plain(accuracy.bounds) == "50.0 % to 85.0 %"
    assert (balanced.reach, balanced.bounds) == (None, "")
    assert (baseline.name, baseline.metric.shown, baseline.reach) == (
        "Always “a”",
        "baseline",
        None,
    )


def test_tiles_are_those_of_the_figures_that_are_there() -> None:
    auroc, brier = score.tiles(METRICS)
    assert (brier.width, brier.reach) == (0, None)
    assert (auroc.name, auroc.value, auroc.bounds) == ("AUROC", "0.750", "0.600 to 0.900")
    assert (brier.name, brier.value, brier.bounds) == ("Brier score", "n/a", "")


def test_an_interval_that_needs_more_groups_says_why_it_is_not_there() -> None:
    metrics = {"mcc": 0.5, "mcc_ci95": None, "smallest_class": {"class": "Pox", "groups": 4}}
    (tile,) = score.tiles(metrics)
    assert (tile.value, tile.bounds) == ("0.500", "n/a, with under 5 groups of “Pox”")
    (tile,) = score.tiles(metrics | {"smallest_class": {"class": "Pox", "groups": 5}})
    assert tile.bounds == ""


def test_the_calibration_error_is_shown_with_what_of_it_is_beyond_chance() -> None:
    (tile,) = score.tiles({"ece": 0.16, "ece_ci95": [0.05, 0.3], "ece_excess": 0.004})
    assert (tile.name, plain(tile.value)) == ("Calibration error", "16.0 %")
    assert plain(tile.meaning).endswith("; beyond chance: 0.4 %")
    (tile,) = score.tiles({"ece": 0.16, "ece_ci95": [0.05, 0.3], "ece_excess": -0.004})
    assert tile.meaning.endswith("differ; no more than chance")
    (tile,) = score.tiles({"ece": math.nan, "ece_excess": math.nan})
    assert "beyond" not in tile.meaning


def test_sentences_tell_patients_threshold_and_calibration() -> None:
    fitted = {"temperature": 1.5, "fitted_on": "val", "n": 40, "reason": None}
    said = score.sentences(METRICS, fitted, scores(["Other", "Pox"]))
    few, patients, threshold, calibrated = map(plain, said)
    assert few.startswith("The test part holds 12 groups, too few for a firm score")
    smallest = METRICS | {"smallest_class": {"class": "Pox", "groups": 1}}
    assert score.sentences(smallest, None, scores(["a"]))[0] == (
        "The test part holds 1 group of “Pox”, too few for a firm score: even the intervals are "
        "rough guesses."
    )
    assert patients == (
        "With one answer per group: right on 75.0 % of 12 groups (95 %: 50.0 % to 90.0 %)."
    )
    assert threshold == (
        "“Pox” is the positive class. With a threshold it would be said from a calibrated "
        "probability of 0.400 on (greatest J on the validation part; never chosen on the test "
        "part). On the test part that finds 80.0 % of “Pox” (sensitivity, 95 %: 60.0 % to 90.0 %) "
        "and leaves 100.0 % of the others alone (specificity)."
    )
    assert calibrated.endswith("the temperature 1.50, fitted on 40 images of the validation part.")


def test_what_is_not_known_has_no_sentence() -> None:
    table = scores(["a", "b", "c"])
    assert score.sentences({"n": 0, "operating_point": None}, None, table) == []
    unfitted = {
        "temperature": 1.0,
        "fitted_on": None,
        "reason": "no validation images were kept out of training",
    }
    assert score.sentences({}, unfitted, table) == [
        "Probabilities are not calibrated: no validation images were kept out of training."
    ]


def test_where_no_class_is_the_positive_one_the_sensitivity_of_both_is_said() -> None:
    table = scores(["cat", "dog"], recall=[0.8, 0.7], recall_low=[0.6, math.nan])
    table = table.assign(recall_high=[0.9, math.nan])
    (said,) = map(plain, score.sentences({"operating_point": None}, None, table))
    assert said == (
        "Sensitivity: the likeliest class finds 80.0 % of “cat” (95 %: 60.0 % to 90.0 %) and "
        "70.0 % of “dog”. Neither name says which class is the positive one; --positive does."
    )


def test_class_rows_hold_text_interval_and_rank() -> None:
    area = scores(["a"], auroc=[0.9], auroc_low=[0.8123], auroc_high=[1.0])
    assert score.class_rows(area)[0]["cells"][-1]["bounds"] == "0.81 to 1.00"
    table = scores(["a"], recall_low=[0.256], recall_high=[0.75], auroc=[math.nan])
    titles = [metric.title for metric in score.class_metrics(table)]
    assert titles == ["Precision", "Recall", "Specificity", "F1", "AUROC"]
    (row,) = score.class_rows(table)
    precision, recall, _, _, auroc = row["cells"]
    assert (plain(precision["text"]), precision["bounds"]) == ("50.0 %", "")
    assert plain(recall["bounds"]) == "26 to 75 %"
    assert float(recall["rank"]) == 0.5
    assert auroc == {"text": "n/a", "bounds": "", "rank": "", "line": "n/a"}


def test_the_commonest_mistakes_come_first_without_right_answers() -> None:
    table = confusion_table([[9, 1, 0], [4, 0, 0], [0, 1, 5]], ["a", "b", "c"], ["a", "b", "c"])
    found = [tuple(mistake.values()) for mistake in score.mistakes(table)]
    assert found == [("b", "a", 4, 1.0), ("a", "b", 1, 0.1), ("c", "b", 1, pytest.approx(1 / 6))]


def test_the_rows_for_a_terminal_hold_the_shares_and_say_na() -> None:
    table = scores(["猴痘", "NA"], recall=[math.nan, 1.0], auroc=[0.5, 0.5])
    shares = {"precision": "50.0 %", "recall": "n/a", "specificity": "50.0 %", "f1": "50.0 %"}
    assert score.terminal_rows(table) == [
        {"class": "猴痘", "support": "3"} | shares,
        {"class": "NA", "support": "3"} | shares | {"recall": "100.0 %"},
    ]
