"""The demonstration set: its names and faults, the same bytes each time, two kinds that differ."""

import hashlib
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image, ImageFilter
from pydantic import ValidationError

from resnext.data.demonstration import DemoSettings, draw
from resnext.data.manifest.scan import scan
from resnext.data.split.draw import script_split
from resnext.data.split.groups import find_groups
from resnext.data.split.leakage import count_leaks
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import prepared, split

SMALL = DemoSettings(patients=8, size=32)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.jpg"))
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of the set as it is drawn by default."""
    root = tmp_path_factory.mktemp("demo")
    draw(root, DemoSettings(patients=40))
    return root


@pytest.fixture(scope="module")
def manifest(folder: Path) -> pd.DataFrame:
    return scan(folder).manifest


def test_the_names_tell_patient_photograph_and_copy(manifest: pd.DataFrame) -> None:
    naming = find_groups(manifest)
    assert naming.fits == len(manifest)
    assert naming.ids == DemoSettings().patients / 4 == 40
    assert set(manifest["label"]) == {"Macular", "Pustular"}
    letters = manifest["path"].str.split("/").str[1].str[0]
    assert set(letters + manifest["label"].str[0]) == {"MM", "PP"}
    assert set(naming.images["copy"]) == {0, 1}


def test_the_set_has_some_hundred_small_pictures(manifest: pd.DataFrame) -> None:
    assert 350 <= 2 * len(manifest) <= 450
    assert set(zip(manifest["width"], manifest["height"], strict=True)) == {(128, 128)}
    assert set(manifest["format"]) == {"JPEG"}
    assert 0.4 <= (manifest["label"] == "Macular").mean() <= 0.6


def test_one_file_is_cut_short_and_one_photograph_has_two_patients(
    folder: Path, manifest: pd.DataFrame
) -> None:
    quarantine = scan(folder).quarantine
    assert quarantine["path"].tolist() == ["Macular/M01_10_00.jpg"]
    assert quarantine["reason"].str.startswith("truncated").all()
    same = manifest[manifest.duplicated("sha256", keep=False)]
    assert same["path"].tolist() == ["Pustular/P02_01_00.jpg", "Pustular/P03_10_00.jpg"]
    assert "P02=P03" in set(prepared(manifest)["group"])


def test_a_random_split_of_it_leaks_and_a_grouped_one_does_not(manifest: pd.DataFrame) -> None:
    pictures = prepared(manifest)
    drawn = split(manifest, SplitSettings())
    assert count_leaks(pictures, drawn)["any"]["count"] == 0
    random = count_leaks(pictures, script_split(pictures, SplitSettings()))
    assert random["copy"]["share"] > 0.75


def drawn(folder: Path, workers: int = 1, **changes: int) -> dict[str, str]:
    draw(folder, SMALL.model_copy(update=changes), workers=workers)
    return digests(folder)


def test_settings_alone_decide_the_bytes_and_nothing_else_is_written(tmp_path: Path) -> None:
    first = drawn(tmp_path / "one")
    assert first == drawn(tmp_path / "one"), "also where it was drawn before"
    assert first == drawn(tmp_path / "three threads", workers=3)
    assert not set(first.values()) & set(drawn(tmp_path / "other", seed=1).values())
    assert first.items() <= drawn(tmp_path / "more", patients=10).items()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "more", "one", "other", "three threads",
    ]  # fmt: skip
    names = [path.name for path in (tmp_path / "one").rglob("*.*")]
    assert all(re.fullmatch(r"[MP]\d\d_\d\d_\d\d\.jpg", name) for name in names)


def photographs(folder: Path, manifest: pd.DataFrame, label: str) -> npt.NDArray[np.float64]:
    """Return the photographs of a class (N, H, W, 3), colours 0..1."""
    rows = manifest[(manifest["label"] == label) & manifest["path"].str.endswith("_00.jpg")]
    opened = []
    for path in rows["path"]:
        with Image.open(folder / path) as image:
            opened.append(np.asarray(image, dtype=np.float64) / 255)
    return np.stack(opened)


def test_the_mean_colour_does_not_tell_the_kinds_apart(
    folder: Path, manifest: pd.DataFrame
) -> None:
    means = [
        photographs(folder, manifest, label).mean(axis=(1, 2)) for label in ("Macular", "Pustular")
    ]
    gap = np.abs(means[0].mean(axis=0) - means[1].mean(axis=0))  # (3,)
    spread = np.concatenate(means).std(axis=0)
    assert (gap < 0.4 * spread).all()


def pale_centres(images: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return per picture (N,) how far the palest small spots stand out from what is around them."""
    found = []
    for paleness in images[..., 1] / (images[..., 0] + 1e-3):  # (H, W)
        grey = Image.fromarray((np.clip(paleness, 0, 1) * 255).astype(np.uint8))
        spot, around = (np.asarray(grey.filter(ImageFilter.BoxBlur(r)), float) for r in (2, 6))
        found.append(np.quantile(spot - around, 0.999))
    return np.array(found)


def test_pale_centres_tell_the_kinds_apart_but_not_in_every_picture(
    folder: Path, manifest: pd.DataFrame
) -> None:
    flat = pale_centres(photographs(folder, manifest, "Macular"))
    ringed = pale_centres(photographs(folder, manifest, "Pustular"))
    right = (ringed[:, None] > flat[None, :]).mean()  # the area under the ROC curve
    assert 0.75 < right < 0.97


def test_a_patient_resembles_itself(folder: Path, manifest: pd.DataFrame) -> None:
    """A picture's mean colour is nearer to its patient's others than to most patients'."""
    naming = find_groups(manifest).images
    rows = naming[naming["copy"] == 0]
    colours = []
    for path in rows["path"]:
        with Image.open(folder / path) as image:
            colours.append(np.asarray(image, dtype=np.float64).mean(axis=(0, 1)))
    table = pd.DataFrame(colours, index=rows["group"])
    within = table.groupby(level=0).std().mean().mean()
    assert within < 0.5 * table.std().mean()


@pytest.mark.parametrize(
    "wrong", [{"patients": 2}, {"photographs": (3, 2)}, {"photographs": (0, 2)}, {"size": 8}]
)
def test_settings_say_what_they_mean_and_are_refused_out_of_range(wrong: dict[str, object]) -> None:
    assert all(field.description for field in DemoSettings.model_fields.values())
    with pytest.raises(ValidationError):
        DemoSettings.model_validate(wrong)
