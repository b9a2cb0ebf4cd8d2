from typing import Any

import pandas as pd
import pytest

from reports.batch import limits_in_words
from reports.prediction import answer_of, summarise


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


LIMITS = {"refer_below": 0.7, "max_error": 0.05, "set_from": 0.2, "set_level": 0.9}


def test_an_answer_that_is_too_uncertain_is_referred_and_counts_in_no_class() -> None:
    referred = answer_of(row("b", a=0.15, b=0.6, c=0.25), LIMITS)
    assert (referred.refer, referred.possible) == (True, ("b", "c"))
    assert str(referred) == "refer (likeliest: b 60.0 %; possible: b, c)"
    given = answer_of(row("b", a=0.1, b=0.7, c=0.2), LIMITS)
    assert (given.refer, str(given)) == (False, "b 70.0 %"), "from the limit on"
    rows = [
        {"path": "x", "predicted": "a", "status": "ok", "note": "", "calibrated_a": f"{share}"}
        for share in (0.9, 0.6)
    ]
    found = summarise(rows, LIMITS)
    assert (found.classes.total(), found.referred, found.unread) == (1, 1, 0)
    assert str(found) == "2 images: a 1, 1 referred"
    assert summarise(rows, {}).referred == 0, "without a promise every image is answered"


def test_an_image_unlike_the_training_images_is_named_so_behind_its_answer() -> None:
    rows = [
        {"path": far, "predicted": "a", "status": "ok", "note": "", "calibrated_a": "0.9"}
        | {"unlike_training": far}
        for far in ("0.97", "0.5", "")
    ]
    found = summarise(rows, {})
    assert [said for _, said in found.first] == [
        "a 90.0 %; unlike the training images", "a 90.0 %", "a 90.0 %",
    ]  # fmt: skip
    assert found.unlike_in_words == "1 of 3 images is unlike the training images"
    damaged = {"path": "x", "status": "error", "error": "empty file"}
    both = summarise([*rows[:1] * 2, damaged], {})
    assert both.unlike_in_words == "2 of 2 images are unlike the training images"
    assert summarise(rows[1:], {}).unlike_in_words == ""


def test_the_positive_class_is_referred_by_its_own_probability() -> None:
    rule = LIMITS | {"positive": "pox", "threshold": 0.3}
    answer = answer_of(row("other", other=0.65, pox=0.35), rule)
    assert (answer.name, answer.refer, answer.possible) == ("pox", True, ("other", "pox"))


def test_pages_say_what_is_promised_and_what_is_not() -> None:
    words = limits_in_words(LIMITS)
    assert "less probable than 70.0\u00a0%: of the answers that are given at most 5.0" in words
    assert "hold the true one for at least 90\u00a0% of images" in words
    without = limits_in_words({"max_error": 0.05, "refer_below": None, "refer_reason": "too few"})
    assert "No answer is referred: too few." in without
    assert limits_in_words({"temperature": 1.0}) == ""
