from typing import Any

import pandas as pd
import pytest

from reports.prediction import answer_of


def row(predicted: str, **shares: float) -> "pd.Series[Any]":
    raw = {f"p_{name}": 1 / len(shares) for name in shares}
    return pd.Series(
        {"predicted": predicted, **raw, **{f"calibrated_{name}": x for name, x in shares.items()}}
    )


def test_an_answer_is_the_likeliest_class_with_its_calibrated_probability() -> None:
    without, unknown = ({"positive": name, "threshold": 0.1} for name in (None, "x"))
    for calibration in (None, without, unknown):
        assert str(answer_of(row("b", a=0.25, b=0.75), calibration)) == "b 75.0 %"
    shown = str(answer_of(row("\x1b[31m", **{"\x1b[31m": 1.0}), None))
    assert shown == "\\x1b[31m 100.0 %", "a name cannot steer the terminal"


@pytest.mark.parametrize(
    ("share", "threshold", "said"),
    [
        (0.6, 0.5, "pox 60.0 %"),
        (0.4, 0.5, "other 60.0 %"),
        (0.4, 0.3, "pox 40.0 % (pox counts from 30.0 % on; likeliest: other)"),
        (0.3, 0.3, "pox 30.0 % (pox counts from 30.0 % on; likeliest: other)"),
        (0.6, 0.7, "other 40.0 % (pox is below 70.0 %; likeliest: pox)"),
    ],
)
def test_the_positive_class_is_answered_from_its_threshold_on(
    share: float, threshold: float, said: str
) -> None:
    likeliest = "pox" if share > 0.5 else "other"
    answer = answer_of(
        row(likeliest, other=1 - share, pox=share), {"positive": "pox", "threshold": threshold}
    )
    assert str(answer) == said


def test_below_the_threshold_the_likeliest_of_the_other_classes_is_answered() -> None:
    answer = answer_of(row("a", a=0.5, b=0.2, c=0.3), {"positive": "a", "threshold": 0.6})
    assert (answer.name, answer.probability) == ("c", 0.3)
