"""Grad-CAM by hand, what is in the border, and which pictures are shown."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from resnext.inference import explain
from resnext.models.architectures import ARCHITECTURES, MEAN, STD, Architecture, build
from resnext.models.probe import Probe, heat_layer_of
from resnext.models.views import ProbeShape
from resnext.training.batches import Subset
from tests.resnext.samples import CPU

# ---------------------------------------------------------------- Grad-CAM


class Tiny(nn.Module):
    """Pass the three channels on as layer4, take their means, and weigh them for two classes."""

    def __init__(self, weights: list[list[float]]) -> None:
        super().__init__()
        self.layer4 = nn.Conv2d(3, 3, 1, bias=False)
        self.fc = nn.Linear(3, 2, bias=False)
        self.layer4.weight.data = torch.eye(3)[:, :, None, None]
        self.fc.weight.data = torch.tensor(weights, dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer4(x).mean(dim=(2, 3)))
        return logits


IMAGE = torch.tensor(
    [[[4.0, 0.0], [8.0, 0.0]], [[0.0, 4.0], [4.0, 0.0]], [[0.0, 0.0], [0.0, 12.0]]]
)


def test_grad_cam_of_a_linear_head_is_its_weighted_channels_without_the_negative() -> None:
    """The gradient of a mean over 4 places is a quarter: (w . channels) / 4, cut at 0."""
    network = Tiny([[1, -1, 0], [0, 1, 2]])
    both = torch.stack([7 * IMAGE, IMAGE])
    cam = explain.grad_cam(network, "layer4", both, torch.tensor([0, 1]))
    assert cam.tolist() == [[[7, 0], [7, 0]], [[0, 1], [1, 6]]]
    alone = explain.grad_cam(network, "layer4", IMAGE[None], torch.tensor([1]))
    assert alone[0].tolist() == cam[1].tolist(), "it does not depend on its neighbours"


class InPlace(Tiny):
    """Cut what layer4 gives at 0, in the same memory."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer4(x).relu_().mean(dim=(2, 3)))
        return logits


def test_the_map_is_of_what_the_layer_gave_even_where_it_is_changed_in_place_afterwards() -> None:
    """Two of four places pass the cut: the mean gradient of the first channel is (2 / 4) / 4."""
    image = torch.tensor([[8.0, -8.0], [-16.0, 16.0]]) * torch.tensor([1.0, 0, 0])[:, None, None]
    cam = explain.grad_cam(
        InPlace([[1, 0, 0], [-1, 0, 0]]), "layer4", image.repeat(2, 1, 1, 1), torch.tensor([0, 1])
    )
    assert cam.tolist() == [[[1, 0], [0, 2]], [[0, 1], [2, 0]]]


def test_maps_are_enlarged_between_the_middles_of_their_cells_and_reach_1_unless_zero() -> None:
    wide = explain.enlarge(torch.tensor([[[0.0, 4.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]), 4)
    assert wide.tolist() == [[[0, 0.25, 0.75, 1]] * 4, [[0] * 4] * 4]
    assert wide.dtype == np.float32


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_layer_is_the_last_before_the_places_are_averaged_in_every_architecture(
    name: str,
) -> None:
    with torch.device("meta"):
        network = build(name, 2).eval()
        seen: list[torch.Size] = []
        network.get_submodule(str(ARCHITECTURES[name].heat_layer)).register_forward_hook(
            lambda _module, _inputs, output: seen.append(output.shape)
        )
        network(torch.empty(1, 3, 96, 96))
    assert [(len(shape), *shape[2:]) for shape in seen] == [(4, 3, 3)]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_behind_the_layer_it_does_not_matter_where_something_is_and_before_it_does(
    name: str,
) -> None:
    """So the layer is the one that says where; of an earlier stage the places matter still."""
    record = ARCHITECTURES[name]
    torch.manual_seed(0)
    network, images = build(name, 2).eval(), torch.randn(1, 3, 96, 96)

    def answer(layer: str | None = None) -> Tensor:
        def turn(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            return output.roll((1, 1), dims=(2, 3))

        hook = network.get_submodule(layer).register_forward_hook(turn) if layer else nullcontext()
        with hook, torch.inference_mode():
            logits: Tensor = network(images)
            return logits

    plain = answer()
    *_, before, _ = record.stages
    torch.testing.assert_close(answer(record.heat_layer), plain, rtol=1e-4, atol=1e-6)
    assert (answer(before) - plain).abs().max() > 1e-3 * plain.abs().max()


class Spots(nn.Module):
    """See single bright points alone: bright areas and their edges leave the logit as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, 1, 1, bias=False)
        contrast = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        # A corner of an area gives 1 - 3 / 9.
        self.layer4 = nn.Sequential(contrast, nn.Threshold(0.7, 0))
        self.fc = nn.Linear(1, 2)
        surround = torch.full((3, 3), -1 / 9)
        surround[1, 1] = 1
        with torch.no_grad():
            self.layer1.weight.copy_(torch.tensor([1.0, 0, 0])[None, :, None, None])
            contrast.weight.copy_(surround)
            self.fc.weight.copy_(torch.tensor([[0.0], [1.0]]))
            self.fc.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer4(self.layer1(x)).mean(dim=(2, 3)))
        return logits


SPOTS = Architecture("spots", lambda _: Spots(), "fc", "layer4", stages=("layer1", "layer4"))


def spotting_probe() -> Probe:
    """Give a probe whose heads look at the mean of layer4 alone."""
    probe = Probe(SPOTS, ProbeShape(views="d4"), 2, Spots()).eval()
    with torch.no_grad():
        for parameter in probe.heads.parameters():
            parameter.zero_()
        probe.heads.hidden[:, 1, 0] = 1  # the means of layer1 and layer4 come first
        probe.heads.out[:, 0, 1] = 1
    return probe


@pytest.mark.parametrize("make", [Spots, spotting_probe])
def test_the_hottest_cell_is_the_patch_that_alone_drives_the_logit(
    make: Callable[[], nn.Module],
) -> None:
    network = make().eval()
    image = torch.zeros(1, 3, 12, 12)
    image[0, 0, :6, :6] = 1  # an area as bright as the spot, which the logit is not driven by
    without_spot, without_area = image.clone(), torch.zeros_like(image)
    image[0, 0, 9, 2] = without_area[0, 0, 9, 2] = 1
    with torch.inference_mode():
        whole, dark, alone = (network(each)[0, 1] for each in (image, without_spot, without_area))
    assert whole == alone > dark

    layer = heat_layer_of(network, SPOTS.heat_layer)
    assert layer is not None
    cam = explain.grad_cam(network, layer, image, torch.tensor([1]))
    assert cam[0].nonzero().tolist() == [[9, 2]]
    wrong = layer.replace("layer4", "layer1")
    assert explain.grad_cam(network, wrong, image, torch.tensor([1]))[0, 3, 3] > 0


RED_AND_BLUE: list[list[float]] = [[1, 0, 0], [0, 0, 1]]


class Squares:
    """Give pictures of 2 x 2 pixels, the n-th with one pixel of red n, the rest black."""

    size = 2

    def take(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        pixels = np.zeros((len(rows), 2, 2, 3), dtype=np.uint8)
        pixels[:, 0, 1, 0] = rows
        return pixels


def heat_maps(part: Subset) -> explain.HeatMaps:
    return explain.heat_maps(Tiny(RED_AND_BLUE), "layer4", Squares(), part, CPU, (MEAN, STD))


def test_maps_come_in_the_order_of_the_part_over_several_batches_and_normalised() -> None:
    count = 2 * explain.BATCH + 1
    names = [str(number) for number in range(count)]
    part = Subset(
        np.arange(count) + 150, np.zeros(count, dtype=np.int64), [f"{0:064x}"] * count, names
    )
    maps, cells = heat_maps(part)
    assert cells == 2
    assert maps.shape == (count, 2, 2)
    # Black is below the mean of red, so that it speaks against the class: 0. Red 150 is above.
    assert (150 / 255 - MEAN[0]) / STD[0] > 0
    assert (maps == np.array([[0, 1], [0, 0]])).all()
    other, _ = heat_maps(part)
    assert maps.tobytes() == other.tobytes()
    maps, cells = heat_maps(Subset(np.arange(0), np.arange(0), [], []))
    assert (maps.shape, cells) == ((0, 2, 2), 0)


# ---------------------------------------------------------------- the border


@pytest.mark.parametrize("side", [1, 2, 7, 10, 64, 224])
def test_an_even_map_has_36_percent_of_its_mass_in_the_border(side: int) -> None:
    even = np.ones((side, side), dtype=np.float32)
    assert explain.border_share(even, 7) == explain.EVEN_BORDER_SHARE
    assert explain.border_share(0 * even, 7) is None


@pytest.mark.parametrize(
    ("side", "hot", "share"),
    [
        (10, (0, 0), 1.0), (10, (5, 9), 1.0), (10, (5, 5), 0.0), (10, (1, 1), 0.0),
        (5, (0, 2), 0.5), (5, (0, 0), 0.75),  # the border is half a pixel wide
    ],
)  # fmt: skip
def test_the_border_is_a_tenth_of_the_side_wide(
    side: int, hot: tuple[int, int], share: float
) -> None:
    heat = np.zeros((side, side), dtype=np.float32)
    heat[hot] = 0.5
    assert explain.border_share(heat, 7) == share


@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize("hot", [0, -1])
def test_a_share_that_is_the_same_wherever_a_network_looks_is_not_given(
    cells: int, hot: int
) -> None:
    cam = torch.zeros(1, cells, cells)
    cam[0, hot, hot] = 1
    (heat,) = explain.enlarge(cam, 32 * cells)
    assert explain.border_share(heat, 7) == pytest.approx(0.36, abs=1e-5)
    assert explain.border_share(heat, cells) is None


def test_from_3_cells_a_side_the_share_tells_a_corner_from_the_middle() -> None:
    corner, middle = torch.zeros(3, 3), torch.zeros(3, 3)
    corner[0, 0] = middle[1, 1] = 1
    wide = explain.enlarge(torch.stack([corner, middle]), 96)
    shares = [explain.border_share(heat, 3) for heat in wide]
    assert (shares[0] or 0) > explain.EVEN_BORDER_SHARE > (shares[1] or 0)


# ---------------------------------------------------------------- which pictures


def predicted(*rows: tuple[str, str, str, float], **changed: str) -> pd.DataFrame:
    """Make predictions of (path, group, predicted, confidence); the label is the folder."""
    table = pd.DataFrame(rows, columns=["path", "group", "predicted", "confidence"])
    table["label"] = [path.split("/")[0] for path in table["path"]]
    return table.assign(**({"split": "test", "status": "ok", "error": ""} | changed))


def shown(table: pd.DataFrame, kind: str) -> list[str]:
    chosen = explain.choose(table)
    return chosen.loc[chosen["kind"] == kind, "path"].tolist()


def test_the_most_confident_mistakes_come_first_and_of_equal_ones_the_first_path() -> None:
    rows = [(f"cat/{number:02}", "g", "dog", 0.5 + 0.01 * number) for number in range(20, 8, -1)]
    table = predicted(("cat/z", "g", "dog", 0.99), ("cat/y", "g", "dog", 0.99), *rows)
    expected = ["cat/y", "cat/z", *(f"cat/{number:02}" for number in range(20, 10, -1))]
    assert shown(table, "mistake") == expected
    assert shown(table.sample(frac=1, random_state=0), "mistake") == expected


def test_right_ones_are_taken_from_the_classes_in_turn() -> None:
    table = predicted(
        ("a/1", "1", "a", 0.9), ("a/2", "2", "a", 0.8), ("a/3", "3", "a", 0.7),
        ("a/4", "4", "a", 0.6), ("b/1", "5", "b", 0.5), ("c/1", "6", "c", 0.3),
        ("c/2", "7", "c", 0.4),
    )  # fmt: skip
    assert shown(table, "right") == ["a/1", "b/1", "c/2", "a/2", "c/1", "a/3"]


def test_no_two_right_ones_are_of_one_group_even_across_classes() -> None:
    table = predicted(
        ("a/1", "1", "a", 0.9), ("a/2", "1", "a", 0.8), ("a/3", "2", "a", 0.7),
        ("b/1", "1", "b", 0.9), ("b/2", "3", "b", 0.5), ("b/3", "3", "b", 0.4),
    )  # fmt: skip
    assert shown(table, "right") == ["a/1", "b/2", "a/3"]


def test_a_confidence_that_was_read_as_text_counts_as_a_number() -> None:
    table = predicted(("a/1", "1", "b", 0.5), ("a/2", "1", "b", 6e-05), ("a/3", "1", "b", 0.75))
    text = table.assign(confidence=["0.5", "6e-05", "0.75"])
    assert shown(text, "mistake") == ["a/3", "a/1", "a/2"]


def test_neither_val_nor_a_picture_without_a_prediction_is_chosen() -> None:
    good = ("a/1", "1", "b", 0.9)
    assert explain.choose(predicted(good, split="val")).empty
    broken = predicted(good, status="error").assign(confidence="")
    assert explain.choose(broken).empty
    assert len(explain.choose(predicted(good))) == 1
