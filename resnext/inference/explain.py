"""Heat maps of where a network looks, over pictures of the test part: Grad-CAM.

A map says which places raised the score of a class, at the coarse grid of the last stack. It does
not say why, and a map on the lesion is no proof that the network is right.

Source: Selvaraju et al., Grad-CAM, ICCV 2017, https://arxiv.org/abs/1610.02391, as computed by
captum. Departure: maps are divided by their own maximum, so that two of them can't be compared by
their brightness; a map that is zero everywhere stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from captum.attr import LayerGradCam
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from resnext import device
from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_manifest, read_table
from resnext.data.decoding.decode import read_scanned
from resnext.data.decoding.levels import Levels
from resnext.data.pixels import PackedPixels, PixelSource
from resnext.data.thumbnails import as_uri, lay_over, shrink
from resnext.device import Compute
from resnext.models.model_file import load_model
from resnext.training.batches import Batches, Part
from resnext.training.step import MEMORY_FORMATS
from resnext.training.train import part_of

LAYER = "layer4"  # the last stack of convolutions, in every architecture
MOST_MISTAKES = 12
MOST_RIGHT = 6
SIDE = 240  # pixels of a thumbnail's longer side
DETAIL = 2  # times the side that a big JPEG is decoded to at least
BATCH = 16  # pictures at once: gradients take more memory than predictions
BORDER = 0.1  # of the side: the width of the outer border
EVEN_BORDER_SHARE = 0.36  # of an even map's mass in that border: 1 - 0.8 * 0.8
FEWEST_CELLS = 3  # a side, from which a share tells something: see `border_share`

Maps: TypeAlias = npt.NDArray[np.float32]  # (N, S, S)
Explained: TypeAlias = dict[str, Any]


class HeatMaps(NamedTuple):
    """Hold maps (N, S, S), 0..1, and how many cells a side the layer has; 0 without a picture."""

    maps: Maps
    cells: int


class Heat(NamedTuple):
    """Hold a picture's maps (S, S), 0..1: of the predicted class, of the true one if another."""

    predicted: npt.NDArray[np.float32]
    true: npt.NDArray[np.float32] | None
    border_share: float | None


def explain(
    root: Path,
    manifest: Path,
    pixels: PackedPixels,
    model: Path,
    predictions: Path,
    compute: Compute,
) -> Explained:
    """Give the content of explained.json: the chosen pictures, each with its heat maps.

    `cells` is how many places a side a map tells apart, 0 without a picture. `border_share` is the
    mean of the pictures' own shares, None where none has one. A picture that changed or was removed
    since the scan has no thumbnail and no map to look at, but the reason in `error`; its share is
    known from the packed pixels.

    Raises:
        InputError: the model or the manifest can't be read.
        OSError: a picture can't be read, though it is there.
    """
    device.apply(compute)
    network, card = load_model(model)
    chosen = choose(read_table(predictions))
    chosen = chosen.merge(read_manifest(manifest)[["path", "sha256"]], on="path", validate="1:1")
    heats, cells = _heats(network, pixels, chosen, card.classes, compute)
    rows = chosen.to_dict("records")
    entries = [_entry(root, row, heat, card.levels) for row, heat in zip(rows, heats, strict=True)]
    shares = [entry["border_share"] for entry in entries if entry["border_share"] is not None]
    return {
        "layer": LAYER,
        "cells": cells,
        "even_border_share": EVEN_BORDER_SHARE,
        "border_share": round(float(np.mean(shares)), 6) if shares else None,
        "pictures": entries,
    }


# ---------------------------------------------------------------- which pictures


def choose(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose test pictures: a table of path, label, group, predicted, confidence and kind.

    First the most confident mistakes, then right ones: class by class in turn the most confident,
    no two of one group. Of equal confidences the first path wins.
    """
    tested = predictions[(predictions["split"] == "test") & (predictions["status"] == "ok")]
    numbers = tested.astype({"confidence": "float64"})  # a table from disk holds text
    ranked = numbers.sort_values(["confidence", "path"], ascending=[False, True])
    right = ranked["predicted"] == ranked["label"]
    found = [
        ranked[~right].head(MOST_MISTAKES).assign(kind="mistake"),
        _in_turn(ranked[right]).assign(kind="right"),
    ]
    columns = ["path", "label", "group", "predicted", "confidence", "kind"]
    return pd.concat(found, ignore_index=True)[columns]


def _in_turn(ranked: pd.DataFrame) -> pd.DataFrame:
    """Take the first picture of each class, then the second, and so on, each of a new group."""
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


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Give where images (B, 3, H, W) speak for their class (B,): (B, h, w), h and w of the layer.

    Each channel of the layer is weighted by the mean gradient of the class's logit; what speaks
    against the class is 0.

    Source: equations 1 and 2 of the paper.
    """
    layer = network.get_submodule(LAYER)
    network.requires_grad_(False)
    layer.requires_grad_(True)  # no gradient, and no memory for one, is needed before it
    cam: Tensor = LayerGradCam(network, layer).attribute(images, classes, relu_attributions=True)
    return cam.detach()[:, 0]  # (B, 1, h, w) -> (B, h, w)


def enlarge(cam: Tensor, size: int) -> Maps:
    """Enlarge maps (B, h, w) to (B, size, size) and divide each by its maximum; zero stays zero."""
    wide = interpolate(cam[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    highest = wide.amax(dim=(1, 2), keepdim=True)
    scaled: Maps = torch.where(highest > 0, wide / highest, 0.0).numpy()
    return scaled


def heat_maps(network: nn.Module, source: PixelSource, part: Part, compute: Compute) -> HeatMaps:
    """Give the maps of a part, whose labels are the classes to explain.

    They are computed in fp32, whatever `compute` says, without a change of the pictures.
    """
    layout = MEMORY_FORMATS[compute.memory_format]
    network = network.eval().to(  # type: ignore[call-overload]
        device=torch.device(compute.device), memory_format=layout
    )
    order = [np.arange(len(part))[start : start + BATCH] for start in range(0, len(part), BATCH)]
    found, cells = [np.zeros((0, source.size, source.size), dtype=np.float32)], 0
    for batch in Batches(source, part, compute, kind="none").run(order):
        images = batch.images.contiguous(memory_format=layout)
        cam = grad_cam(network, images, batch.labels).cpu()
        cells = cam.shape[-1]
        found.append(enlarge(cam, source.size))
    return HeatMaps(np.concatenate(found), cells)


def border_share(heat: npt.NDArray[np.float32], cells: int) -> float | None:
    """Give the share of a map's mass (S, S) in the outer border; None for a map of zeros.

    The border is a tenth of the side wide, wherever pixels end: an even map gives 0.36. So does
    every map that was enlarged from 2 x 2 cells (64 px) or from one (32 px), since each cell then
    has as much border as any other: None for them too.
    """
    total = float(heat.sum(dtype=np.float64))
    if total == 0 or cells < FEWEST_CELLS:
        return None
    edges = np.clip(np.linspace(0, 1, len(heat) + 1), BORDER, 1 - BORDER)
    inside = np.diff(edges) * len(heat)  # (S,), the share of each pixel that lies inside
    within = float(inside @ heat.astype(np.float64) @ inside)
    return round(max(0.0, 1 - within / total), 6)


def _heats(
    network: nn.Module,
    pixels: PackedPixels,
    chosen: pd.DataFrame,
    classes: Sequence[str],
    compute: Compute,
) -> tuple[list[Heat], int]:
    """Compute the maps of the predicted class, and for mistakes those of the true one.

    Gives also how many cells a side they were enlarged from.
    """
    wrong = chosen[chosen["kind"] == "mistake"]
    guessed = part_of(chosen.assign(label=chosen["predicted"]), pixels, classes)
    predicted, cells = heat_maps(network, pixels, guessed, compute)
    true, _ = heat_maps(network, pixels, part_of(wrong, pixels, classes), compute)
    heats = [  # mistakes come first
        Heat(heat, true[place] if place < len(true) else None, border_share(heat, cells))
        for place, heat in enumerate(predicted)
    ]
    return heats, cells


# ---------------------------------------------------------------- entries


def _entry(root: Path, row: dict[Any, Any], heat: Heat, levels: Levels) -> Explained:
    known = {name: row[name] for name in ("path", "label", "group", "predicted")}
    pictures: dict[str, str | None] = dict.fromkeys(("thumbnail", "heat", "heat_true"))
    error = None
    try:
        image = read_scanned(root / row["path"], row["sha256"], levels, at_least=DETAIL * SIDE)
        pictures = _pictures(shrink(image, SIDE), heat)
    except InputError as fault:
        # Where the pictures lie on this machine is nobody's business in a report.
        error = str(fault).replace(str(root / row["path"]), row["path"])
    return {
        **known,
        "confidence": float(row["confidence"]),
        "kind": row["kind"],
        **pictures,
        "border_share": heat.border_share,
        "error": error,
    }


def _pictures(thumbnail: Image.Image, heat: Heat) -> dict[str, str | None]:
    true = None if heat.true is None else as_uri(lay_over(thumbnail, heat.true))
    return {
        "thumbnail": as_uri(thumbnail),
        "heat": as_uri(lay_over(thumbnail, heat.predicted)),
        "heat_true": true,
    }
