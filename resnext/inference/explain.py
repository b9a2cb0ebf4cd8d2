"""Heat maps of where a network looks, over images of the test part: Grad-CAM.

A map says which places raised the score of a class, at the coarse grid of the last stack. It does
not say why, and a map on the lesion is no proof that the network is right.

Source: Selvaraju et al., Grad-CAM, ICCV 2017, https://arxiv.org/abs/1610.02391. Departure: maps are
divided by their own maximum, so that two of them can't be compared by their brightness; a map that
is zero everywhere stays so.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from resnext import device
from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_manifest, read_predictions
from resnext.data.decoding.decode import read_scanned
from resnext.data.pixels import PackedPixels, Pixels, PixelSource, Rows, centre_square
from resnext.data.thumbnails import as_uri, lay_over, shrink
from resnext.device import Compute
from resnext.models.architectures import Scale, find_architecture
from resnext.models.model_file import ModelCard, load_network
from resnext.models.probe import heat_layer_of
from resnext.training.batches import Batches, Subset
from resnext.training.step import in_format, move_model
from resnext.training.train import subset_of

MOST_MISTAKES = 12
MOST_RIGHT = 6
SIDE = 240  # pixels of a thumbnail's longer side
DETAIL = 2  # times the side that a big JPEG is decoded to at least
BATCH = 16  # images at once: gradients take more memory than predictions
BORDER = 0.1  # of the side: the width of the outer border
EVEN_BORDER_SHARE = 0.36  # of an even map's mass in that border: 1 - 0.8 * 0.8
FEWEST_CELLS = 3  # a side, from which a share tells something: see `border_share`

Maps: TypeAlias = npt.NDArray[np.float32]  # (N, S, S)
Explained: TypeAlias = dict[str, Any]


class HeatMaps(NamedTuple):
    """Hold maps (N, S, S), 0..1, and how many cells a side the layer has; 0 without an image."""

    maps: Maps
    cells: int


def explain(
    root: Path,
    manifest: Path,
    pixels: PackedPixels,
    model: Path,
    predictions: Path,
    compute: Compute,
) -> Explained:
    """Give the content of explained.json: the chosen images, each with its heat maps.

    `cells` is how many places a side a map tells apart, 0 without an image. `border_share` is the
    mean of the images' own shares, None where none has one. An image that changed or was removed
    since the scan has no thumbnail and no map to look at, but the reason in `error`; its share is
    known from the packed pixels.

    Raises:
        InputError: the model or the manifest can't be read.
        OSError: an image can't be read, though it is there.
    """
    device.apply(compute)
    network, card = load_network(model)
    layer = heat_layer_of(network, find_architecture(card.architecture).heat_layer)
    chosen = choose(read_predictions(predictions))
    chosen = chosen.merge(read_manifest(manifest)[["path", "sha256"]], on="path", validate="1:1")

    def maps_of(table: pd.DataFrame) -> HeatMaps:
        subset = subset_of(table, pixels, card.classes)
        return heat_maps(network, layer, pixels, subset, compute, card.scale)

    predicted, cells = maps_of(chosen.assign(label=chosen["predicted"]))
    true, _ = maps_of(chosen[chosen["kind"] == "mistake"])  # they come first
    entries = [
        _entry(root, row, card, heat, heat_true, border_share(heat, cells))
        for row, heat, heat_true in zip_longest(chosen.to_dict("records"), predicted, true)
    ]
    shares = [entry["border_share"] for entry in entries if entry["border_share"] is not None]
    return {
        "layer": layer,
        "cells": cells,
        "even_border_share": EVEN_BORDER_SHARE,
        "border_share": round(float(np.mean(shares)), 6) if shares else None,
        "pictures": entries,
    }


# ---------------------------------------------------------------- which images


def choose(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose test images: a table of path, label, group, predicted, confidence and kind.

    First the most confident mistakes, then right ones: class by class in turn the most confident,
    no two of one group. Of equal confidences the first path wins.
    """
    columns = ["path", "label", "group", "predicted", "confidence"]
    used = (predictions["split"] == "test") & (predictions["status"] == "ok")
    tested = predictions.loc[used, columns]
    numbers = tested.astype({"confidence": "float64"})  # a table from disk holds text
    ranked = numbers.sort_values(["confidence", "path"], ascending=[False, True])
    right = ranked["predicted"] == ranked["label"]
    found = [
        ranked[~right].head(MOST_MISTAKES).assign(kind="mistake"),
        _in_turn(ranked[right]).assign(kind="right"),
    ]
    return pd.concat(found, ignore_index=True)


def _in_turn(ranked: pd.DataFrame) -> pd.DataFrame:
    """Take the first image of each class, then the second, and so on, each of a new group."""
    waiting = {label: list(rows.index) for label, rows in ranked.groupby("label", sort=True)}
    groups, taken = ranked["group"].to_dict(), []
    seen: set[str] = set()
    while any(waiting.values()):
        for queue in waiting.values():
            while queue and groups[queue[0]] in seen:
                queue.pop(0)
            if queue:
                seen.add(groups[queue[0]])
                taken.append(queue.pop(0))
    return ranked.loc[taken[:MOST_RIGHT]]


# ---------------------------------------------------------------- maps


def grad_cam(network: nn.Module, layer: str, images: Tensor, classes: Tensor) -> Tensor:
    """Give where images (B, 3, H, W) speak for their class (B,): (B, h, w), h and w of the layer.

    Each channel of the layer is weighted by the mean gradient of the class's logit; what speaks
    against the class is 0.

    Source: equations 1 and 2 of the paper.
    """
    seen: list[Tensor] = []

    def see(_layer: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        seen.append(output.requires_grad_())  # no gradient, and no memory for one, before it
        return output.clone()  # which what follows may change in place

    with network.requires_grad_(False).get_submodule(layer).register_forward_hook(see):
        logits = network(images).gather(1, classes[:, None])
    (channels,) = seen  # (B, C, h, w)
    (slopes,) = torch.autograd.grad(logits.sum(), seen)
    weights = slopes.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
    return (weights * channels).sum(dim=1).relu().detach()


def enlarge(cam: Tensor, size: int) -> Maps:
    """Enlarge maps (B, h, w) to (B, size, size) and divide each by its maximum; zero stays zero."""
    wide = interpolate(cam[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    highest = wide.amax(dim=(1, 2), keepdim=True)
    scaled: Maps = torch.where(highest > 0, wide / highest, 0.0).numpy()
    return scaled


def heat_maps(
    network: nn.Module,
    layer: str | None,
    source: PixelSource,
    subset: Subset,
    compute: Compute,
    scale: Scale,
) -> HeatMaps:
    """Give the maps of a subset, whose labels are the classes to explain.

    They are computed in fp32, whatever `compute` says, without a change of the images. A network
    without a layer for them has none.
    """
    if layer is None:
        return HeatMaps(np.zeros((0, source.size, source.size), dtype=np.float32), 0)
    move_model(network.eval(), compute)
    every = np.arange(len(subset))
    order = [every[start : start + BATCH] for start in range(0, len(subset), BATCH)]
    found, cells = [np.zeros((0, source.size, source.size), dtype=np.float32)], 0
    for images, labels in Batches(source, subset, compute, scale=scale).run(order):
        cam = grad_cam(network, layer, in_format(images, compute), labels).cpu()
        cells = cam.shape[-1]
        found.append(enlarge(cam, source.size))
    return HeatMaps(np.concatenate(found), cells)


class Explainer:
    """A network that is kept open, to say of single images where it looks."""

    def __init__(self, model: Path, compute: Compute) -> None:
        device.apply(compute)
        self.network, self.card = load_network(model)
        layer = find_architecture(self.card.architecture).heat_layer
        self.layer, self.compute = heat_layer_of(self.network, layer), compute

    def heat(self, pixels: Pixels, name: str) -> npt.NDArray[np.float32] | None:
        """Give the map (S, S) of a class over an image (S, S, 3); None without a layer for it."""
        first = np.zeros(1, dtype=np.int64)
        subset = Subset(first, first + self.card.classes.index(name), ["0"], [""])
        source, scale = _OneImage(pixels), self.card.scale
        maps = heat_maps(self.network, self.layer, source, subset, self.compute, scale).maps
        return maps[0] if len(maps) else None


class _OneImage:
    """Pixels of one image, as `heat_maps` takes them."""

    def __init__(self, pixels: Pixels) -> None:
        self.size, self.pixels = len(pixels), pixels

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some rows."""
        return self.pixels[None][rows]


def border_share(heat: npt.NDArray[np.float32] | None, cells: int) -> float | None:
    """Give the share of a map's mass (S, S) in the outer border; None for a map of zeros.

    The border is a tenth of the side wide, wherever pixels end: an even map gives 0.36. So does
    every map that was enlarged from 2 x 2 cells (64 px) or from one (32 px), since each cell then
    has as much border as any other: None for them too.
    """
    total = 0.0 if heat is None else float(heat.sum(dtype=np.float64))
    if heat is None or total == 0 or cells < FEWEST_CELLS:
        return None
    edges = np.clip(np.linspace(0, 1, len(heat) + 1), BORDER, 1 - BORDER)
    inside = np.diff(edges) * len(heat)  # (S,), the share of each pixel that lies inside
    within = float(inside @ heat.astype(np.float64) @ inside)
    return round(max(0.0, 1 - within / total), 6)


def _entry(
    root: Path,
    row: dict[Any, Any],
    card: ModelCard,
    heat: npt.NDArray[np.float32] | None,
    heat_true: npt.NDArray[np.float32] | None,
    share: float | None,
) -> Explained:
    """Give what explained.json says of one image; `heat_true` is None for a right answer.

    Both are None where the network has no layer for maps.
    """
    maps = {"heat": heat, "heat_true": heat_true}
    shown = dict[str, str | None].fromkeys(["thumbnail", *maps])
    error = None
    try:
        image = read_scanned(root / row["path"], row["sha256"], card.levels, at_least=DETAIL * SIDE)
        small = shrink(centre_square(image) if card.fit == "centre" else image, SIDE)
        over = {name: lay_over(small, each) for name, each in maps.items() if each is not None}
        shown |= {name: as_uri(each) for name, each in {"thumbnail": small, **over}.items()}
    except InputError as fault:
        # Where the images lie on this machine is nobody's business in a report.
        error = str(fault).replace(str(root / row["path"]), row["path"])
    return {
        **{name: row[name] for name in ("path", "label", "group", "predicted")},
        "confidence": float(row["confidence"]),
        "kind": row["kind"],
        **shown,
        "border_share": share,
        "error": error,
    }
