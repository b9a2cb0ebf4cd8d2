from pathlib import Path

import pytest
import torch

from resnext.errors import InputError
from resnext.predictions import prediction_columns, read_temperature

LOGS = torch.tensor([[0.8, 0.2], [0.5, 0.5]], dtype=torch.float64).log()


def test_calibrated_probabilities_stand_after_the_raw_ones() -> None:
    table = prediction_columns(LOGS, ["a", "b"], temperature=2.0)
    assert list(table) == [
        "predicted", "confidence", "p_a", "p_b", "calibrated_a", "calibrated_b", "status", "error",
    ]  # fmt: skip
    assert table["calibrated_a"].tolist() == pytest.approx([2 / 3, 1 / 2])  # sqrt 0.8 : sqrt 0.2
    assert table["calibrated_b"].tolist() == pytest.approx([1 / 3, 1 / 2])
    assert table["p_a"].tolist() == pytest.approx([0.8, 0.5])
    assert table["predicted"].tolist() == ["a", "a"]


def test_at_temperature_1_they_are_the_raw_ones() -> None:
    table = prediction_columns(LOGS, ["a", "b"], temperature=1.0)
    assert table["calibrated_b"].tolist() == pytest.approx(table["p_b"].tolist())


def test_no_picture_gives_an_empty_table_of_the_same_columns() -> None:
    table = prediction_columns(torch.empty((0, 0), dtype=torch.float64), ["a", "b"], temperature=2)
    assert list(table) == list(prediction_columns(LOGS, ["a", "b"], temperature=2))
    assert table.empty


def test_the_parts_of_a_split_have_raw_probabilities_alone() -> None:
    assert not prediction_columns(LOGS, ["a", "b"]).filter(regex="^calibrated_").columns.tolist()


def test_the_temperature_is_read_from_the_calibration(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text('{"temperature": 2.5, "positive": null}')
    assert read_temperature(file) == 2.5


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"temperature": null}',
        '{"temperature": 0}',
        '{"temperature": "x"}',
        '{"temperature": true}',
        '{"temperature": 1e-300}',
    ],
)
def test_a_calibration_without_a_temperature_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(content)
    with pytest.raises(
        InputError, match=r"^calibration.json must hold a temperature from 0.1 to 10"
    ):
        read_temperature(file)
