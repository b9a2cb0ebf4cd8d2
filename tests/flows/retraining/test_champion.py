"""The champion, prepared to predict other images than it was trained with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flows.retraining import champion
from resnext.data.decoding.levels import Levels
from resnext.models.architectures import MEAN, STD
from resnext.models.model_file import ModelCard, save_model
from tasks.scan import scan
from tasks.stage.artifact import Runtime


@pytest.mark.parametrize("levels", [Levels(), Levels(uint16=(0, 4095))])
def test_it_sees_deep_images_scaled_as_in_its_own_training(
    levels: Levels, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = ModelCard(
        classes=("Blue", "Red"), architecture="resnext38_32x4d", image_size=48, mean=MEAN, std=STD,
        levels=levels, fit="centre",
    )  # fmt: skip
    save_model(tmp_path / "model.safetensors", {"a": torch.zeros(1)}, card)
    packed: list[tuple[Any, ...]] = []
    monkeypatch.setattr(champion, "pack", lambda *given: packed.append(given[2:]))
    monkeypatch.setattr(
        "flows.retraining.champion.intact_weights", lambda *_: tmp_path / "model.safetensors"
    )
    plan: Any = SimpleNamespace(
        store=tmp_path, compute=SimpleNamespace(device="cpu", deterministic=True)
    )
    version: Any = None
    champion.prepare_champion(plan, runtime, version, scan.fn(runtime))
    same = levels == Levels()  # as those of the scan: then its pixels are shared
    assert packed == [(48, None if same else levels, "centre")]
