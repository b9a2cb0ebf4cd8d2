"""What stands in explained.json, for pictures on a disk and a network of fresh weights."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from resnext.contracts.json_files import write_json
from resnext.contracts.tables import MANIFEST_COLUMNS, write_table
from resnext.data.pixels import PackedPixels, ScannedImage, pack
from resnext.inference import explain
from resnext.models.architectures import MEAN, STD, build
from resnext.models.model_file import ModelCard, save_model
from tests.resnext.data.samples import picture, save
from tests.resnext.inference.test_explain import predicted
from tests.resnext.samples import CPU

CLASSES = ("cat", "dog")
KEYS = [
    "path", "label", "group", "predicted", "confidence", "kind",
    "thumbnail", "heat", "heat_true", "border_share", "error",
]  # fmt: skip


@cache
def fresh_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    weights = build("resnext38_32x4d", 2).state_dict()
    weights["fc.weight"].abs_()  # so that no map is zero: what is averaged is not negative
    return weights


class Folder:
    """Images with all that the stages before gave for them, and a network of fresh weights."""

    def __init__(self, root: Path, size: int = 96) -> None:
        self.size = size
        self.root, self.beside = root / "pictures", root / "beside"
        self.beside.mkdir()
        self.rows: list[tuple[str, str, str, float]] = []
        self.digests: dict[str, str] = {}
        card = ModelCard(
            classes=CLASSES, architecture="resnext38_32x4d", image_size=size, mean=MEAN, std=STD
        )
        save_model(self.beside / "model.safetensors", fresh_weights(), card)

    def add(self, path: str, guess: str, image: Image.Image | None = None, **options: Any) -> None:
        """Save a picture, of which `guess` was predicted."""
        file = save(self.root / path, image or picture(60, 40, seed=len(self.rows)), **options)
        self.digests[path] = hashlib.sha256(file.read_bytes()).hexdigest()
        self.rows.append((path, f"g{len(self.rows)}", guess, 0.9 - 0.01 * len(self.rows)))

    def explained(self) -> dict[str, Any]:
        """Explain the pictures as they are, though packed as they were."""
        manifest = pd.DataFrame("1", index=range(len(self.rows)), columns=MANIFEST_COLUMNS)
        manifest = manifest.assign(path=list(self.digests), sha256=list(self.digests.values()))
        write_table(manifest, self.beside / "manifest.csv")
        write_table(predicted(*self.rows), self.beside / "predictions.csv")
        return explain.explain(
            self.root, self.beside / "manifest.csv", self.packed(),
            self.beside / "model.safetensors", self.beside / "predictions.csv", CPU,
        )  # fmt: skip

    def packed(self) -> PackedPixels:
        file = self.beside / "pixels.npy"
        if not file.exists():
            known = [
                ScannedImage(self.root / path, digest) for path, digest in self.digests.items()
            ]
            pack(known, self.size, file)
        return PackedPixels(file, list(self.digests.values()))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    """Put back what `explain` sets for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


def test_a_mistake_has_a_map_of_either_class_and_a_right_one_of_its_own(folder: Folder) -> None:
    folder.add("cat/right.png", "cat")
    folder.add("cat/wrong.png", "dog", picture(600, 300))
    found = folder.explained()
    assert list(found) == ["layer", "cells", "even_border_share", "border_share", "pictures"]
    assert (found["layer"], found["cells"]) == ("layer4", 3)  # 96 px / 32
    wrong, right = found["pictures"]
    assert list(wrong) == list(right) == KEYS
    assert [wrong[key] for key in KEYS[1:6]] == ["cat", "g1", "dog", 0.89, "mistake"]
    assert [right[key] for key in KEYS[:6]] == ["cat/right.png", "cat", "g0", "cat", 0.9, "right"]
    for name in ("thumbnail", "heat", "heat_true"):
        assert opened(wrong[name]).size == (240, 120)
    assert wrong["heat"] != wrong["heat_true"]
    assert right["heat_true"] is None
    assert wrong["error"] is right["error"] is None


def test_the_share_of_all_is_the_mean_of_the_pictures_shares(folder: Folder) -> None:
    folder.add("cat/1.png", "cat")
    folder.add("dog/1.png", "cat", picture(64, 64, seed=90))
    found = folder.explained()
    shares = [entry["border_share"] for entry in found["pictures"]]
    assert len(shares) == 2
    assert all(0 <= share <= 1 for share in shares)
    assert found["border_share"] == pytest.approx(sum(shares) / 2, abs=1e-6)


def test_at_64_px_no_share_is_given(tmp_path: Path) -> None:
    folder = Folder(tmp_path, 64)
    folder.add("cat/1.png", "dog")
    found = folder.explained()
    assert found["border_share"] is found["pictures"][0]["border_share"] is None
    assert found["pictures"][0]["heat"] is not None


def test_a_picture_of_any_mode_is_shown(folder: Folder) -> None:
    for mode in ("L", "RGBA", "P", "CMYK"):
        folder.add(f"cat/{mode}", "dog", picture(80, 40, mode), format="TIFF")
    for entry in folder.explained()["pictures"]:
        assert entry["error"] is None
        assert opened(entry["thumbnail"]).mode == "RGB"
        assert opened(entry["heat"]).size == (80, 40)


def test_a_picture_that_lies_on_its_side_is_shown_upright_and_the_map_with_it(
    folder: Folder,
) -> None:
    upright = picture(320, 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its left side: to be turned clockwise
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    folder.add("cat/1.jpg", "dog", lying, exif=exif, quality=95)
    (entry,) = folder.explained()["pictures"]
    thumbnail, heat = opened(entry["thumbnail"]), opened(entry["heat"])
    assert thumbnail.size == heat.size == (240, 150)
    assert not thumbnail.getexif()
    expected = np.asarray(upright.resize((240, 150)), dtype=float)
    assert np.abs(np.asarray(thumbnail, dtype=float) - expected).mean() < 6


def test_a_changed_or_removed_picture_is_told_by_its_name_alone(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"cat/{number}.png", "dog")
    folder.packed()
    save(folder.root / "cat/0.png", picture(seed=77))
    (folder.root / "cat/1.png").unlink()
    changed, gone, good = folder.explained()["pictures"]
    assert changed["error"].startswith("Image 'cat/0.png' must be as it was scanned, got other")
    assert gone["error"].startswith("Image 'cat/1.png' must be as it was scanned, got nothing")
    for entry in (changed, gone):
        assert list(entry) == KEYS
        assert entry["thumbnail"] is entry["heat"] is entry["heat_true"] is None
        assert entry["border_share"] is not None
    assert good["error"] is None
    assert good["heat"] is not None


def test_a_network_that_looks_nowhere_gives_a_cold_map_and_no_share(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "grad_cam", lambda *given: torch.zeros(len(given[2]), 3, 3))
    folder.add("cat/1.png", "dog")
    found = folder.explained()
    (entry,) = found["pictures"]
    assert entry["border_share"] is found["border_share"] is None
    assert opened(entry["heat"]).size == (60, 40)


def test_no_test_picture_gives_an_empty_list(folder: Folder) -> None:
    folder.add("cat/1.png", "cat")
    folder.rows = [("cat/unknown.png", "g", "cat", 0.5)]
    assert folder.explained() == {
        "layer": "layer4", "cells": 0, "even_border_share": 0.36, "border_share": None,
        "pictures": [],
    }  # fmt: skip


def test_the_same_pictures_give_the_same_bytes_twice(folder: Folder, tmp_path: Path) -> None:
    for number in range(3):
        folder.add(f"cat/{number} \N{GREEK SMALL LETTER ALPHA}.jpg", "dog" if number else "cat")
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file in files:
        write_json(folder.explained(), file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(json.loads(files[0].read_text(encoding="utf-8"))["pictures"]) == 3
