from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext.contracts.tables import read_manifest
from resnext.data.decoding.levels import Levels
from resnext.data.manifest.settings import ReadingSettings
from resnext.device import plan_compute
from resnext.inference import batch
from resnext.inference.batch import Job
from resnext.inference.execution import Execution
from resnext.models.architectures import MEAN, STD
from resnext.models.model_file import ModelCard
from tasks.pack import open_pixels, pack
from tasks.scan import read_levels, scan
from tasks.stage.artifact import Runtime
from tests.resnext.inference.test_batch import files_of


def test_a_picture_that_is_renamed_or_relabelled_is_not_decoded_again(
    runtime: Runtime, tree: Path
) -> None:
    first = pack.fn(runtime, scan.fn(runtime), 32)
    one = next((tree / "Blue").iterdir())
    one.rename(tree / "Red" / "renamed.png")
    assert pack.fn(runtime, scan.fn(runtime), 32) == first


def test_another_size_or_picture_is_packed_anew_with_a_row_for_each_different_file(
    runtime: Runtime, tree: Path
) -> None:
    first = pack.fn(runtime, scan.fn(runtime), 32)
    assert pack.fn(runtime, scan.fn(runtime), 48).key != first.key
    gone, source, *_ = (tree / "Blue").iterdir()
    gone.unlink()
    (tree / "Blue" / "again.png").write_bytes(source.read_bytes())
    again = pack.fn(runtime, scan.fn(runtime), 32)
    assert again.key != first.key
    packed = open_pixels(again)
    assert packed.pixels.shape == (23, 32, 32, 3)
    assert packed.pixels.dtype == np.uint8
    assert list(packed.row_of) == sorted(packed.row_of)


def draw_deep(root: Path, spoil: str = "") -> None:
    """Draw two classes of 16-bit images that are told apart by their brightness alone."""
    random = np.random.default_rng(9)
    for label, low in (("dim", 300), ("bright", 3000)):
        (root / label).mkdir(parents=True)
        for number in range(16):
            pixels = (low + 800 * random.random((64, 64))).astype(np.uint16)
            if spoil == "a hot pixel":
                pixels[5, number] = 65_535
            Image.fromarray(pixels).save(root / label / f"x{number:03d}y.png")


def brightness(runtime: Runtime, root: Path) -> dict[str, list[float]]:
    """Give the mean of each image's pixels as they are packed, by class."""
    scanned = scan.fn(runtime.model_copy(update={"data": root}))
    packed = open_pixels(pack.fn(runtime.model_copy(update={"data": root}), scanned, 32))
    table = read_manifest(scanned.path("manifest.csv"))
    rows = packed.rows(table["sha256"].tolist())
    means = packed.take(rows).mean(axis=(1, 2, 3))
    return {label: means[table["label"] == label].tolist() for label in sorted(set(table["label"]))}


@pytest.mark.parametrize("spoil", ["", "a hot pixel"])
def test_what_is_dim_stays_darker_than_what_is_bright(
    runtime: Runtime, tmp_path: Path, spoil: str
) -> None:
    draw_deep(tmp_path / "deep", spoil)
    found = brightness(runtime, tmp_path / "deep")
    assert np.allclose(found["dim"], 700 / 4095 * 255, atol=3)
    assert np.allclose(found["bright"], 3400 / 4095 * 255, atol=3)


@pytest.mark.parametrize("nothing", [-9999, -3.4e38, np.nan, np.inf])
def test_floats_keep_their_brightness_whatever_stands_for_nothing(
    runtime: Runtime, tmp_path: Path, nothing: float
) -> None:
    for label, low in (("dim", 20), ("bright", 700)):
        (tmp_path / "floats" / label).mkdir(parents=True)
        for number in range(8):
            pixels = np.linspace(low, low + 300, 4096, dtype=np.float32).reshape(64, 64) + number
            pixels[: number % 3] = nothing  # in some of them
            Image.fromarray(pixels).save(tmp_path / "floats" / label / f"x{number}.tif")
    found = brightness(runtime, tmp_path / "floats")
    assert max(found["dim"]) < 60 < 160 < min(found["bright"])


def test_8_and_16_bits_of_one_scene_are_equally_bright(runtime: Runtime, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for label, pixels in (("eight", grey), ("sixteen", grey.astype(np.uint16) * 257)):
        (tmp_path / "both" / label).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "both" / label / "x.png")
    found = brightness(runtime, tmp_path / "both")
    assert found["eight"] == found["sixteen"]


def test_an_image_to_predict_has_the_pixels_that_it_had_in_training(
    runtime: Runtime, tmp_path: Path
) -> None:
    draw_deep(tmp_path / "deep")
    here = runtime.model_copy(update={"data": tmp_path / "deep"})
    scanned = scan.fn(here)
    packed = open_pixels(pack.fn(here, scanned, 32))
    table = read_manifest(scanned.path("manifest.csv"))
    card = ModelCard(
        classes=("a", "b"), architecture="resnext38_32x4d", image_size=32, mean=MEAN, std=STD,
        levels=read_levels(scanned),
    )  # fmt: skip
    execution = Execution(runtime="torch", compute=plan_compute("cpu"))
    job = Job(tmp_path, card, execution, ReadingSettings(), False)
    files = files_of(tmp_path / "deep")
    assert [file.path for file in files] == table["path"].tolist()
    seen = [each.pixels for each in batch._read_some(job, files)]
    assert np.array_equal(np.array(seen), packed.take(packed.rows(table["sha256"].tolist())))
    assert pack.fn(here, scanned, 32).key == pack.fn(here, scanned, 32, None, "stretch").key
    assert pack.fn(here, scanned, 32).key != pack.fn(here, scanned, 32, fit="centre").key


def test_a_model_with_other_levels_has_pixels_of_its_own(runtime: Runtime, tmp_path: Path) -> None:
    draw_deep(tmp_path / "deep")
    here = runtime.model_copy(update={"data": tmp_path / "deep"})
    scanned = scan.fn(here)
    own, other = pack.fn(here, scanned, 32), pack.fn(here, scanned, 32, Levels(uint16=(0, 65_535)))
    assert own.key != other.key
    assert open_pixels(own).pixels.mean() > 10 * open_pixels(other).pixels.mean()
