from reports.sections.uncertainty import sentences
from tests.reports.figures.samples import uncertainty


def said(**changes: object) -> str:
    text = " ".join(sentences({"uncertainty": uncertainty() | changes}))
    return text.replace("\u00a0", " ")


def test_curve_promise_and_sets_are_said_with_their_intervals() -> None:
    words = said()
    assert "risk-coverage curve is 0.067 (95 %: 0.040 to 0.110)" in words
    assert "at most 10.0 % of the answers are wrong" in words
    assert "answers 60.0 % of the images (95 %: 50.0 % to 70.0 %), and 7.2 % of these" in words
    assert "the sets of 90.0 % of images hold the true class. On the test part 92.0 % do" in words
    assert "a set holds 1.60 classes on average (95 %: 1.40 to 1.80), and 50.0 % of" in words


def test_what_is_not_asked_for_or_undefined_is_said_and_old_metrics_say_nothing() -> None:
    assert "Every image is answered. With --max-error" in said(referral=None)
    none = {"max_error": 0.05, "refer_below": None, "reason": "few groups"}
    assert "At most 5.0 % of wrong answers can't be promised: few groups." in said(referral=none)
    without = {"level": 0.9, "set_from": None, "reason": "few groups"}
    assert "There are no sets of possible classes: few groups." in said(sets=without)
    assert sentences({}) == sentences({"uncertainty": {"aurc": None}}) == []
