"""How unlike the training images a new one is: distances by hand, and through every runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from resnext.contracts.errors import InputError
from resnext.contracts.tables import write_table
from resnext.contracts.threshold import is_unlike
from resnext.data.pixels import PackedPixels
from resnext.device import plan_compute
from resnext.inference import known_images
from resnext.inference.known_images import reference_of
from resnext.inference.reference import (
    FEWEST,
    Reference,
    build_reference,
    evenly,
    mean_distance,
    read_reference,
    reference_beside,
    unit,
    write_reference,
)
from resnext.inference.runtimes.pytorch import open_describing, open_network
from resnext.models.model_file import load_network
from resnext.models.probe import Probe, turn
from resnext.models.views import ProbeShape
from resnext.training.augmentation import normalise, to_float
from tests.resnext.inference.test_export import model_of
from tests.resnext.models.test_networks import Noise


def features(images: int, width: int = 6, middle: float = 0, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, images])
    return (rng.normal(size=(images, width)) + middle * np.eye(width)[0]).astype(np.float32)


def test_a_distance_is_the_mean_of_the_five_least() -> None:
    rows = np.array([[5, 1, 4, 2, 3, 9, 9], [0, 0, 0, 0, 0, 7, 8]], dtype=np.float32)
    assert mean_distance(rows).tolist() == [3, 0]
    assert mean_distance(rows[:, :2]).tolist() == [3, 0], "of fewer, all of them"
    assert unit(np.array([[3, 4], [0, 0]], dtype=np.float32)).tolist() == [
        pytest.approx([0.6, 0.8]),
        [0, 0],
    ]


def test_the_share_of_held_out_images_that_are_nearer_by_hand() -> None:
    held_out = (np.arange(20) / 100).astype(np.float32)
    reference = Reference(np.array([[1, 0]], dtype=np.float32), held_out)
    # cosines 1, 0.9 and -1: distances 0, 0.1 and 2
    given = np.array([[2, 0], [0.9, 0.19**0.5 + 1e-6], [-1, 0]], dtype=np.float32)
    assert reference.unlike(given).tolist() == [0, pytest.approx(0.5, abs=0.051), 1]
    assert np.isnan(reference._replace(held_out=held_out[: FEWEST - 1]).unlike(given)).all()


def test_images_like_those_held_out_are_spread_evenly_and_others_are_farther() -> None:
    known, held_out, new = (features(n, middle=3, seed=s) for s, n in enumerate((300, 400, 2000)))
    reference = build_reference(known, held_out)
    shares = reference.unlike(new)
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert np.mean([is_unlike(share) for share in shares]) == pytest.approx(0.05, abs=0.03)
    assert reference.unlike(features(200, middle=-3)).min() > 0.95
    assert not is_unlike(None)
    assert not is_unlike(float("nan"))


def test_without_held_out_images_each_is_measured_by_those_of_other_groups() -> None:
    known = np.repeat(features(40), 3, axis=0)  # three equal images a group
    groups = np.repeat(np.arange(40), 3)
    none = np.zeros((0, 6), dtype=np.float32)
    alone = build_reference(known, none, groups)
    assert len(alone.held_out) == 120
    assert alone.held_out[0] > 0.01, "its own group, at distance 0, does not count"
    assert len(build_reference(known, none).held_out) == 0
    assert len(build_reference(known, none, groups % 5).held_out) == 0, "too few groups"


def test_at_most_five_hundred_images_are_kept_evenly_spaced() -> None:
    assert evenly(3).tolist() == [0, 1, 2]
    assert evenly(0).tolist() == []
    chosen = evenly(1250)
    assert (len(chosen), chosen[0], chosen[-1]) == (500, 0, 1249)
    assert set(np.diff(chosen)) == {2, 3}


def test_a_file_is_read_as_it_was_written_and_says_whose_it_is(tmp_path: Path) -> None:
    file = tmp_path / "reference.safetensors"
    reference = build_reference(features(30), features(25, seed=1))
    write_reference(reference, "abc", file)
    for one, other in zip(read_reference(file), reference, strict=True):
        np.testing.assert_array_equal(one, other)
    model = tmp_path / "model.safetensors"
    assert reference_beside(model, ["other", "abc"]) == file
    assert reference_beside(model, ["other"]) is None
    assert reference_beside(tmp_path / "elsewhere" / "model.onnx", ["abc"]) is None
    file.write_text("none")
    assert reference_beside(model, ["abc"]) is None
    with pytest.raises(InputError, match="reference must be a file that the pipeline wrote"):
        read_reference(file)


@pytest.mark.parametrize("views", ["identity", "d4"])
def test_the_features_of_a_probe_are_those_of_its_frozen_network_over_all_views(
    views: Any, tmp_path: Path
) -> None:
    shape = ProbeShape(views=views, heads=1, hidden=4)
    model, pixels = model_of(tmp_path, "resnext38_32x4d", probe=shape), Noise().take(np.arange(3))
    logs, found = open_describing(model, plan_compute("cpu"))(pixels)
    np.testing.assert_allclose(logs, open_network(model, plan_compute("cpu"))(pixels))
    network, card = load_network(model)
    assert isinstance(network, Probe)
    images = normalise(to_float(torch.from_numpy(pixels)), card.scale)
    with torch.inference_mode():
        each = [network.embedding(turn(images, view)) for view in network.turns]
    assert found is not None
    np.testing.assert_allclose(found, torch.stack(each).mean(dim=0).numpy(), rtol=1e-5, atol=1e-6)


def test_several_networks_that_answer_together_have_no_features(tmp_path: Path) -> None:
    model = model_of(tmp_path, "resnext38_32x4d", members=2)
    logs, found = open_describing(model, plan_compute("cpu"))(Noise().take(np.arange(2)))
    assert (logs.shape, found) == ((2, 3), None)


class _Packed(PackedPixels):
    """Noise under digests that are numbers."""

    def __init__(self) -> None:
        self.noise = Noise()

    def take(self, rows: Any) -> Any:
        return self.noise.take(rows)

    def rows(self, digests: Any) -> Any:
        return np.array([int(each) for each in digests])


def tables(folder: Path, images: int, held_out: int) -> tuple[Path, Path]:
    """Write a manifest and a split of so many images, the last of which are held out."""
    digests = [str(place) for place in range(images)]
    paths = [f"{place}.png" for place in digests]
    parts = ["train"] * (images - held_out) + ["test"] * held_out
    facts = {"phash": "", "bytes": 1, "width": 1, "height": 1, "mode": "", "format": ""}
    table = pd.DataFrame({"path": paths, "label": "a", "sha256": digests, **facts})
    write_table(table.assign(orientation=1), folder / "manifest.csv")
    split = pd.DataFrame({"path": paths, "label": "a", "group": paths, "copy": 0, "split": parts})
    write_table(split.assign(reason=""), folder / "split.csv")
    return folder / "manifest.csv", folder / "split.csv"


def test_a_reference_is_made_of_training_images_and_measured_by_held_out_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = model_of(tmp_path, "resnext38_32x4d"), tables(tmp_path, 40, 24)
    monkeypatch.setattr(known_images, "BATCH", 7)
    found = reference_of(*given, _Packed(), model, plan_compute("cpu"))
    assert found.known.shape == (16, 2048)
    assert len(found.held_out) == 24
    embedded = features(80, 9).reshape(40, 2, 9), [str(place) for place in range(40)]
    of_probe = reference_of(*given, _Packed(), model, plan_compute("cpu"), embedded)
    mean = embedded[0].mean(axis=1)
    expected = build_reference(mean[:16], mean[16:])
    for one, other in zip(of_probe, expected, strict=True):
        np.testing.assert_array_equal(one, other)
