from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.contracts.tables import write_table
from resnext.data.decoding.levels import Levels
from resnext.data.manifest.scan import scan_images
from resnext.data.pixels import Pixels, PixelSource
from resnext.device import plan_compute
from resnext.inference import predict as predictions
from resnext.inference.calibration import read_calibration
from resnext.inference.predict import prediction_columns
from resnext.models.architectures import MEAN, STD
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
    ],
)
def test_a_calibration_whose_rule_can_not_be_followed_is_refused(rule: str, tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(f'{{"temperature": 1.0, {rule}}}')
    with pytest.raises(InputError, match=r"^calibration.json must .* or none, got"):
        read_calibration(file)


def test_new_pictures_are_scaled_as_the_training_pictures_of_the_model_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.full((40, 40), 2000, dtype=np.uint16)).save(tmp_path / "a.png")
    found = scan_images(tmp_path)
    write_table(found.manifest, tmp_path / "manifest.csv")
    write_table(found.quarantine, tmp_path / "quarantine.csv")
    card = ModelCard(
        classes=("a", "b"), architecture="x", image_size=32, mean=MEAN, std=STD,
        levels=Levels(uint16=(0, 4095)),
    )  # fmt: skip
    seen: list[Pixels] = []

    def predict(_: object, source: PixelSource, *__: object, **___: object) -> torch.Tensor:
        seen.append(source.take(np.array([0])))
        return torch.from_numpy(LOGS[:1])

    monkeypatch.setattr(predictions, "load_network", lambda _: (None, card))
    monkeypatch.setattr("resnext.training.engine.predict", predict)
    tables = tmp_path / "manifest.csv", tmp_path / "quarantine.csv"
    compute = plan_compute("cpu", "resnext38_32x4d", deterministic=True)
    predictions.predict_images(tmp_path, *tables, tmp_path / "m.safetensors", compute)
    assert set(np.unique(seen[0]).tolist()) == {125}  # 2000 / 4095 * 255
