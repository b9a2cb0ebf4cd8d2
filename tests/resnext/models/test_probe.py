"""Features by hand, views, and how heads answer together."""

import math

import pytest
import torch
from torch import Tensor, nn

from resnext.models.architectures import ARCHITECTURES, Architecture
from resnext.models.probe import Embedding, Probe, turn
from resnext.models.views import TURNS, ProbeShape


class Doubled(nn.Module):
    """Double the image, then average its places: a network of one stage, with a head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stage = nn.Conv2d(3, 3, 1, bias=False)
        self.stage.weight.data = 2 * torch.eye(3)[:, :, None, None]
        self.fc = nn.Linear(3, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.stage(x).amax(dim=(2, 3)))
        return logits


RECORD = Architecture("doubled", Doubled, head="fc", heat_layer="stage", stages=("stage",))
IMAGE = torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 4.0]]])


@pytest.fixture(autouse=True)
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "doubled", RECORD)


def test_features_are_mean_and_deviation_of_each_stage_and_what_the_head_is_given() -> None:
    """Doubled, the channels are 0 2 4 6, 2 2 2 2 and 0 0 0 8."""
    found = Embedding(RECORD).eval()(IMAGE[None])
    means, deviations, highest = [3, 2, 2], [math.sqrt(5), 0, math.sqrt(12)], [6, 2, 8]
    assert found.tolist() == [pytest.approx([*means, *deviations, *highest], abs=1e-5)]
    assert Embedding(RECORD).width(32) == 9


def test_a_flat_image_has_a_finite_slope() -> None:
    image = torch.ones(1, 3, 2, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(Embedding(RECORD).eval()(image).sum(), image)
    assert slope.isfinite().all()


def test_the_frozen_network_stays_in_eval_mode_and_has_no_gradient() -> None:
    probe = Probe(RECORD, ProbeShape(), 2).train()
    assert probe.heads.training
    assert not any(module.training for module in probe.embedding.modules())
    wanted = {name for name, each in probe.named_parameters() if each.requires_grad}
    assert wanted == {"heads.hidden", "heads.hidden_bias", "heads.out", "heads.out_bias"}


def test_the_eight_views_are_the_eight_symmetries_of_a_square() -> None:
    seen = {tuple(turn(IMAGE[None, :1], each).flatten().tolist()) for each in TURNS["d4"]}
    assert seen == {
        (0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0),
        (0, 2, 1, 3), (2, 0, 3, 1), (1, 3, 0, 2), (3, 1, 2, 0),
    }  # fmt: skip
    assert turn(IMAGE[None], 1)[0, 0].tolist() == [[1, 0], [3, 2]]


@pytest.mark.parametrize(("views", "count"), [("identity", 1), ("mirror", 2), ("d4", 8)])
def test_an_answer_is_the_mean_probability_of_heads_and_views(views: str, count: int) -> None:
    torch.manual_seed(0)
    shape = ProbeShape.model_validate({"views": views, "heads": 3, "hidden": 4})
    probe = Probe(RECORD, shape, 2).eval()
    images = torch.rand(2, 3, 4, 4)
    shares = []
    for each in TURNS[shape.views]:
        features = probe.embedding(turn(images, each))
        for head in range(3):
            hidden = (features @ probe.heads.hidden[head] + probe.heads.hidden_bias[head]).relu()
            logits = hidden @ probe.heads.out[head] + probe.heads.out_bias[head]
            shares.append(logits.softmax(dim=1))
    assert len(shares) == 3 * count
    by_hand = torch.stack(shares).mean(dim=0)
    assert torch.allclose(probe(images).softmax(dim=1), by_hand, atol=1e-6)


def test_what_is_seen_in_all_eight_views_is_the_same_however_an_image_is_turned() -> None:
    torch.manual_seed(0)
    probe = Probe(RECORD, ProbeShape(views="d4"), 2).eval()
    images = torch.rand(1, 3, 4, 4)
    answers = [probe(turn(images, each)) for each in range(8)]
    assert all(torch.allclose(answers[0], each, atol=1e-6) for each in answers)
