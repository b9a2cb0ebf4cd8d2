"""Advice is given where a figure calls for it, and nowhere else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.advice import ADVICE, advise
from resnext.contracts.tables import confusion_table
from tests.reports.test_html import METRICS, content, render, scores


def names(**changes: Any) -> list[str]:
    """Name the advice by its flag."""
    return [each["flag"] for each in advise(content(**changes))]


def epochs(*val: tuple[float, float]) -> pd.DataFrame:
    """Give a history of the accuracies and losses of the validation part."""
    accuracy, loss = zip(*val, strict=True)
    train = {"train_accuracy": 0.5, "train_loss": 1.0, "lr": 0.1}
    steps = {"epoch": range(1, len(val) + 1)}
    return pd.DataFrame(steps | {"val_accuracy": accuracy, "val_loss": loss}).assign(**train)


RISING = [(0.5 + 0.01 * step, 1 - 0.01 * step) for step in range(6)]
LABELS = ["Monkeypox"] * 9 + ["Others"] * 3


def trained_on(labels: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"path": "a.jpg", "label": labels, "group": "g", "copy": 0})
    return table.assign(split="train", reason="")


def unbalanced(labels: list[str] = LABELS, recall: Sequence[float] = (0.9, 0.2)) -> dict[str, Any]:
    per_class = scores(["Monkeypox", "Others"], recall=[*recall])
    return {"split": trained_on(labels), "per_class": per_class}


def errors(before: float, after: float) -> pd.DataFrame:
    rows = {"when": ["before", "after"], "n": [10, 10], "confidence": [0.5, 0.5]}
    return pd.DataFrame(rows | {"accuracy": [0.5 + before, 0.5 + after]})


def test_a_report_that_calls_for_nothing_holds_no_advice() -> None:
    assert names() == []
    assert "What to do next" not in render().text


def brightness(low: float) -> pd.DataFrame:
    row = {"cue": "brightness", "auroc": 0.7, "auroc_low": low, "auroc_high": 0.8, "note": ""}
    return pd.DataFrame([row | {"images": 90, "groups": 40}])


COLLAPSED = scores(["Monkeypox", "Others"], precision=[0.5, np.nan])
LEAK = {"drawn": {"any": {"count": 2, "share": 0.2}}}


@pytest.mark.parametrize(
    ("flag", "changes", "not_so"),
    [
        ("--split grouped", {"leakage": LEAK}, {"leakage": None}),
        ("--preset transfer", {"per_class": COLLAPSED}, {}),
        (
            "--folds 5",
            {"metrics": METRICS | {"few_groups": True}},
            {"metrics": METRICS | {"few_groups": False}},
        ),
        ("--attributes FILE", {"shortcuts": brightness(0.51)}, {"shortcuts": brightness(0.49)}),
        (
            "--groups FILE",
            {"leakage": {"scheme": {"name": None, "unknown": 3, "names": 9}}},
            {"leakage": {"scheme": {"name": "lesions"}}},
        ),
        (
            "--epochs N",
            {"history": epochs(*RISING)},
            {"history": epochs(*RISING, (0.54, 0.9))},
        ),
        ("--epochs N", {"history": epochs(*RISING)}, {"history": epochs(*RISING[:4])}),
        (
            "--class-weights balanced",
            unbalanced(),
            unbalanced(recall=(0.9, 0.9)),
        ),
        (
            "--class-weights balanced",
            unbalanced(),
            unbalanced(LABELS[3:]),
        ),
        ("--folds 5", {"reliability": errors(0.02, 0.05)}, {"reliability": errors(0.02, 0.029)}),
        (
            "--folds 5",
            {"metrics": METRICS | {"ece": 0.5, "ece_ci95": [0.3, 0.6]}},
            {"metrics": METRICS | {"ece": 0.5, "ece_ci95": [0.05, 0.6]}},
        ),
        ("--image-size 224", {"explained": {"cells": 2}}, {"explained": {"cells": 4}}),
    ],
)  # fmt: skip
def test_advice_is_given_where_it_is_called_for(
    flag: str, changes: dict[str, Any], not_so: dict[str, Any]
) -> None:
    assert names(**changes) == [flag]
    assert flag not in names(**not_so)


def test_an_image_of_two_classes_is_to_be_decided_on() -> None:
    split = trained_on(["Others"]).assign(split="unused", reason="label conflict: same as b.jpg")
    assert names(split=split) == ["--only split"]


def test_the_gravest_advice_comes_first_and_stands_in_the_summary() -> None:
    history = epochs(*RISING)
    assert names(leakage=LEAK, history=history) == ["--split grouped", "--epochs N"]
    text = render(leakage=LEAK, history=history).text
    assert "2 test images have relatives in train" in text
    assert text.index("--split grouped keeps each group on one side.") < text.index("--epochs N")
    assert len({each.name for each in ADVICE}) == len(ADVICE)


def test_the_rarest_class_may_be_absent_from_the_test_part() -> None:
    table = scores(["Monkeypox", "Others"], recall=[0.9, np.nan])
    assert names(split=trained_on(LABELS), per_class=table) == []
    classes = ["a", "b"]
    counts = confusion_table(np.zeros((2, 2), dtype=int), classes, classes)
    assert names(classes=classes, confusion=counts) == []
