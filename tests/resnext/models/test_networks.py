"""Every listed network trains, freezes, resumes, saves and loads by the one engine."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from resnext.data.pixels import Pixels
from resnext.inference import explain
from resnext.models.architectures import LISTED, Architecture, build, find_architecture
from resnext.models.model_file import load_network
from resnext.training import engine
from resnext.training import train as training
from resnext.training.batches import Batch, Subset, Subsets
from resnext.training.callback import Callback
from resnext.training.checkpoints import Checkpoints
from resnext.training.engine import Training
from resnext.training.recipe import Recipe
from resnext.training.step import Step
from tests.resnext.samples import CPU

SIDE = 32
LARGE = ("resnext101_32x4d", "resnext101_64x4d", "resnext101_32x8d")
EVERY = [
    pytest.param(each.name, marks=[pytest.mark.slow] if each.name in LARGE else [])
    for each in LISTED
]


class Noise:
    """Give images of noise by their number."""

    size = SIDE

    def take(self, rows: npt.NDArray[np.int64]) -> Pixels:
        each = [np.random.default_rng(int(row)).integers(0, 256, (SIDE, SIDE, 3)) for row in rows]
        return np.stack(each).astype(np.uint8)


def images(*rows: int) -> Subset:
    names = [f"{row:064x}" for row in rows]
    return Subset(np.array(rows), np.array(rows) % 2, names, names)


SUBSETS = Subsets(("A", "B"), images(0, 1, 2, 3), images(4, 5), images(6, 7))


class StopAfter(Callback):
    """Want to stop after a step, or never; note the weights after each epoch."""

    def __init__(self, model: nn.Module, last: int | None) -> None:
        self.model, self.last, self.step = model, last, 0
        self.epochs: list[dict[str, Tensor]] = []

    def on_step(self, step: int, images: int, loss: Tensor) -> None:  # noqa: ARG002
        self.step = step

    def on_epoch(self, row: object) -> None:  # noqa: ARG002
        self.epochs.append({name: each.clone() for name, each in self.model.state_dict().items()})

    def wants_to_stop(self) -> bool:
        return self.step == self.last


def started(recipe: Recipe, folder: Path, last: int | None) -> tuple[Training, StopAfter]:
    model, _ = training.start_model(recipe, SUBSETS.classes, CPU, None)
    stop = StopAfter(model, last)
    checkpoints = Checkpoints(folder)
    return Training(
        model, Noise(), SUBSETS, recipe, CPU, callbacks=[stop], checkpoints=checkpoints
    ), stop


@pytest.mark.training
@pytest.mark.parametrize("name", EVERY)
def test_it_freezes_trains_stops_and_goes_on_saves_and_loads(name: str, tmp_path: Path) -> None:
    recipe = Recipe(
        arch=name, image_size=SIDE, epochs=2, batch_size=4, freeze_epochs=1, optimizer="sgd",
        momentum=0, augment="none", keep="last", lr=0.01, warmup_epochs=0, schedule="constant",
        layer_decay=0.9,
    )  # fmt: skip
    first, stop = started(recipe, tmp_path / "checkpoints", last=1)
    before = {key: each.clone() for key, each in first.model.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    head = find_architecture(name).in_head
    changed = {key for key, each in stop.model.state_dict().items() if not each.equal(before[key])}
    assert changed == {key for key in before if head(key)}

    resumed = started(recipe, tmp_path / "checkpoints", last=None)[0].fit()
    training_in_one = started(recipe, tmp_path / "none", last=None)[0]
    whole = training_in_one.fit()
    assert len(whole.history) == len(resumed.history) == 2
    assert all(each.equal(resumed.weights[key]) for key, each in whole.weights.items())
    assert any(not whole.weights[key].equal(before[key]) for key in before if not head(key))

    training.write_result(whole, SUBSETS.classes, recipe, tmp_path)
    network, card = load_network(tmp_path / "model.safetensors")
    record = find_architecture(name)
    assert (card.mean, card.std) == (record.mean, record.std)
    answers = [
        engine.predict(each.eval(), Noise(), SUBSETS.test, CPU, scale=card.scale)
        for each in (network, training_in_one.model)
    ]
    assert answers[0].equal(answers[1])
    assert answers[0].exp().sum(1).tolist() == pytest.approx([1, 1])

    maps = explain.heat_maps(network, record.heat_layer, Noise(), SUBSETS.test, CPU, card.scale)
    assert maps.maps.shape == (2, SIDE, SIDE)
    assert maps.cells == 1


@pytest.mark.training
@pytest.mark.parametrize("name", EVERY)
def test_its_rates_fall_from_the_last_layer_to_the_stem_and_frozen_stages_stay_as_they_are(
    name: str,
) -> None:
    record = find_architecture(name)
    count = len(record.stages)
    recipe = Recipe(
        arch=name, image_size=SIDE, optimizer="sgd", momentum=0, layer_decay=0.5, head_lr=3,
        weight_decay=0.1, freeze_stages=count - 1,
    )  # fmt: skip
    model, _ = training.start_model(recipe, SUBSETS.classes, CPU, None)
    before = {key: each.clone() for key, each in model.state_dict().items()}
    step = Step(model, recipe, CPU, None, 2)

    groups = [(p, group["share"]) for group in step.optimizer.param_groups for p in group["params"]]
    names = {parameter: key for key, parameter in model.named_parameters()}
    assert sorted(names[parameter] for parameter, _ in groups) == sorted(names.values())
    shares = {names[parameter]: share for parameter, share in groups}
    assert {key for key, share in shares.items() if share == 3} == {*filter(record.in_head, shares)}
    body = [shares[key] for key in names.values() if not record.in_head(key)]
    assert body == sorted(body), "in the order of the network"
    assert sorted({*body}) == [0.5**below for below in range(count + 1, 0, -1)]
    for number, stage in enumerate(record.stages):
        rates = {share for key, share in shares.items() if key.startswith(f"{stage}.")}
        assert rates == {0.5 ** (count - number)}

    step.freeze(0)
    images = torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    step(Batch(images, torch.tensor([0, 1, 0, 1])), 0.01, 0)
    trained = {key for key, share in shares.items() if share >= 0.5}
    assert {key for key, each in model.named_parameters() if each.grad is not None} == trained
    changed = {key for key, each in model.state_dict().items() if not each.equal(before[key])}
    statistics = before.keys() - shares.keys()
    assert changed - statistics <= trained
    norms = {key.rpartition(".")[0] for key in trained}
    assert changed & statistics == {s for s in statistics if s.rpartition(".")[0] in norms}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in (
        "resnext50_32x4d", "resnext101_32x4d", "resnext101_64x4d", "resnext101_32x8d")]
)  # fmt: skip
def test_our_networks_give_the_logits_of_timm_and_torchvision(name: str) -> None:
    ours = build(name, 5).eval()
    pictures = torch.randn(2, 3, 64, 64)
    others = [timm.create_model(name, num_classes=5)]
    if hasattr(torchvision.models, name):
        others.append(getattr(torchvision.models, name)(num_classes=5))
    for theirs in others:
        theirs.load_state_dict(ours.state_dict())
        with torch.inference_mode():
            assert theirs.eval()(pictures).equal(ours(pictures))


@pytest.mark.parametrize(
    "record", [each for each in LISTED if timm.is_model(each.name)], ids=lambda record: record.name
)
def test_a_record_agrees_with_timms_own_configuration(record: Architecture) -> None:
    with torch.device("meta"):
        theirs: Any = timm.create_model(record.name, num_classes=2)
    facts = theirs.default_cfg
    assert (record.head, record.heat_layer) == (
        facts["classifier"], theirs.feature_info[-1]["module"]
    )  # fmt: skip
    assert record.input_size == facts["input_size"][-1]
    assert record.fixed_size == bool(facts.get("fixed_input_size"))
    if record.imagenet and "://" not in record.imagenet:
        published = timm.get_pretrained_cfg(record.imagenet.removeprefix("timm/"))
        assert published is not None
        assert published.hf_hub_id == record.imagenet
        assert str(published.license).lower() == str(record.licence).lower()
