"""What is hidden of covered images, and who answers them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resnext.contracts.tables import MANIFEST_COLUMNS, TEXT_COLUMNS, write_table
from resnext.data.pixels import PackedPixels
from resnext.inference.cover import COVERS, Covered, predict_covered
from resnext.models.architectures import MEAN, STD, build
from resnext.models.model_file import ModelCard, save_model
from tests.resnext.samples import CPU

DIGESTS = [str(number) * 64 for number in range(4)]


@pytest.fixture
def pixels(tmp_path: Path) -> PackedPixels:
    """Three images of noise, and one that is the first but for its border."""
    drawn = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    drawn[3] = drawn[0]
    drawn[3, :3] = 0
    np.save(tmp_path / "pixels.npy", drawn)
    return PackedPixels(tmp_path / "pixels.npy", DIGESTS)


def test_half_of_the_area_is_hidden_by_the_mean_colour_and_the_other_half_stays(
    pixels: PackedPixels,
) -> None:
    rows = np.array([2, 0])
    before = pixels.take(rows)
    hidden = []
    for cover in COVERS:
        shown = Covered(pixels, cover, (0.5, 0.25, 0.0)).take(rows)
        mine = (shown == [128, 64, 0]).all(axis=3)[0]
        assert (shown[:, ~mine] == before[:, ~mine]).all()
        assert mine.mean() == pytest.approx(0.5, abs=0.05)
        hidden.append(mine)
    assert (hidden[0] ^ hidden[1]).all(), "what one hides the other shows"
    assert hidden[0][16, 16]
    assert (pixels.take(rows) == before).all()


def test_test_images_are_answered_by_what_is_left_of_them(
    pixels: PackedPixels, tmp_path: Path
) -> None:
    paths = [f"{name}.png" for name in "abcd"]
    manifest = pd.DataFrame({"path": paths, "sha256": DIGESTS, "label": ["A", "B", "A", "B"]})
    for column in MANIFEST_COLUMNS:
        if column not in manifest:
            manifest[column] = "x" if column in TEXT_COLUMNS else 1
    write_table(manifest[MANIFEST_COLUMNS], tmp_path / "manifest.csv")
    tested = manifest[["path", "label"]].assign(
        group="g", split=["test", "test", "val", "test"], predicted="A", status="ok"
    )
    write_table(tested.assign(p_A=0.5, p_B=0.5), tmp_path / "predictions.csv")
    card = ModelCard(
        classes=("A", "B"), architecture="resnext38_32x4d", image_size=32, mean=MEAN, std=STD
    )
    weights = build("resnext38_32x4d", 2).state_dict()
    save_model(tmp_path / "model.safetensors", weights, card)
    model, predictions = tmp_path / "model.safetensors", tmp_path / "predictions.csv"
    found = predict_covered(tmp_path / "manifest.csv", pixels, model, predictions, CPU)
    assert found["path"].tolist() == ["a.png", "b.png", "d.png"] * 2
    assert found["covered"].tolist() == ["centre"] * 3 + ["border"] * 3
    a, _, d = found.loc[found["covered"] == "border", "p_A"]
    assert a == d, "they differ in what is covered alone"
    a, b, d = found.loc[found["covered"] == "centre", "p_A"]
    assert len({a, b, d}) == 3
