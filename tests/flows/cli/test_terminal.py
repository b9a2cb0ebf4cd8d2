import logging

from flows.cli.terminal import _worth_showing, score_line


def test_the_score_stands_with_its_interval() -> None:
    metrics = {
        "n": 60,
        "accuracy": 0.75,
        "majority_accuracy": 0.556,
        "balanced_accuracy": 0.71,
        "balanced_accuracy_ci95": [0.5849, 0.8349],
    }
    assert score_line(metrics) == (
        "75.0 % of 60 test pictures right (always answering the commonest class: 55.6 %); "
        "balanced accuracy 71.0 % (95 % 58 to 83)"
    )


def test_a_score_without_an_interval_stands_alone() -> None:
    metrics = {
        "n": 0,
        "accuracy": None,
        "majority_accuracy": None,
        "balanced_accuracy": None,
        "balanced_accuracy_ci95": None,
    }
    assert score_line(metrics) == (
        "n/a of 0 test pictures right (always answering the commonest class: n/a); "
        "balanced accuracy n/a"
    )


def test_what_prefect_says_of_an_interrupted_run_is_not_shown_beside_our_own_line() -> None:
    def shown(name: str) -> bool:
        return _worth_showing(logging.makeLogRecord({"name": name, "levelno": logging.ERROR}))

    assert not shown("prefect.engine")
    assert shown("another.library")
