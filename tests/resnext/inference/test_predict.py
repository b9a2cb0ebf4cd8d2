from pathlib import Path

import numpy as np
import pytest

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_predictions, write_table
from resnext.data.manifest.reading import Reading
from resnext.inference.batch import Answered
from resnext.inference.calibration import read_calibration
from resnext.inference.explain import choose
from resnext.inference.tables import batch_table, prediction_columns
from resnext.models.model_file import ModelCard

LOGS = np.log([[0.8, 0.2], [0.5, 0.5]])


def test_calibrated_probabilities_stand_after_the_raw_ones() -> None:
    table = prediction_columns(LOGS, ["a", "b"], temperature=2.0)
    assert list(table) == [
        "predicted", "confidence", "p_a", "p_b", "calibrated_a", "calibrated_b", "status", "error",
    ]  # fmt: skip
    assert table["calibrated_a"].tolist() == pytest.approx([2 / 3, 1 / 2])  # sqrt 0.8 : sqrt 0.2
    assert table["calibrated_b"].tolist() == pytest.approx([1 / 3, 1 / 2])
    assert table["p_a"].tolist() == pytest.approx([0.8, 0.5])
    assert table["predicted"].tolist() == ["a", "a"]

    same = prediction_columns(LOGS, ["a", "b"], temperature=1.0)
    assert same["calibrated_b"].tolist() == pytest.approx(same["p_b"].tolist())
    raw = prediction_columns(LOGS, ["a", "b"])  # of the val and test part
    assert list(raw) == [name for name in table if "calibrated_" not in str(name)]
    none = prediction_columns(np.empty((0, 0)), ["a", "b"], temperature=2)
    assert list(none) == list(table)
    assert none.empty


def test_tables_of_many_classes_are_made_at_once(tmp_path: Path) -> None:
    """Columns that are inserted one by one are slow: pandas warns of it from 100 on."""
    classes = tuple(f"c{number}" for number in range(120))
    logs = np.log(np.full((1, 120), 1 / 120))
    card = ModelCard(
        classes=classes, architecture="resnext38_32x4d", image_size=32, mean=(0, 0, 0),
        std=(1, 1, 1),
    )  # fmt: skip
    answered = [Answered(Reading(), logs[0])]
    assert batch_table(["1.png"], answered, card, 1.0)["calibrated_c119"].tolist() == [
        pytest.approx(1 / 120)
    ]
    tested = prediction_columns(logs, classes).assign(
        path="c0/1.png", label="c0", group="1", split="test", covered="centre"
    )
    write_table(tested, tmp_path / "predictions.csv")
    assert choose(read_predictions(tmp_path / "predictions.csv"))["kind"].tolist() == ["right"]


@pytest.mark.parametrize("temperature", ["", "null", "0", '"x"', "true", "1e-300", "2.5"])
def test_a_calibration_without_a_temperature_is_refused(temperature: str, tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(f'{{"temperature": {temperature}, "positive": null}}')
    if temperature == "2.5":
        assert read_calibration(file) == {"temperature": 2.5, "positive": None}
        return
    with pytest.raises(InputError, match=r"^calibration.json must hold a temperature from 0.1 to"):
        read_calibration(file)


@pytest.mark.parametrize(
    "rule",
    [
        '"positive": ["b"], "threshold": 0.5',
        '"positive": {}, "threshold": 0.5',
        '"positive": "b", "threshold": "0.5"',
        '"positive": "b", "threshold": [1]',
        '"positive": "b", "threshold": true',
        '"positive": "b", "threshold": NaN',
        '"refer_below": "0.5"',
        '"set_from": [0.5]',
    ],
)
def test_a_calibration_whose_rule_can_not_be_followed_is_refused(rule: str, tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(f'{{"temperature": 1.0, {rule}}}')
    with pytest.raises(InputError, match=r"^calibration.json must .* or none, got"):
        read_calibration(file)
