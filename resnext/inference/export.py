"""Write a trained model as an ONNX file that predicts without torch, and check its answers.

What is in the file stands in `resnext.inference.exported`. It is kept only where it answers images
as torch does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from resnext.contracts.errors import ExportError
from resnext.contracts.threshold import answered_class
from resnext.data.pixels import PixelSource, Rows
from resnext.device import Compute
from resnext.inference.calibration import softmax
from resnext.inference.execution import FloatArray, Int64Array
from resnext.inference.exported import (
    ANSWERS,
    FEATURES,
    IMAGES,
    LOGS,
    PROBABILITIES,
    TOLERANCE,
    Facts,
    metadata_of,
)
from resnext.inference.runtimes.onnx_runtime import ExportedModel
from resnext.inference.runtimes.pytorch import open_network
from resnext.models.features import over_views, watched
from resnext.models.model_file import load_network
from resnext.models.probe import Probe, turn

BATCH = 16  # images answered at once


class Agreement(NamedTuple):
    """How an exported model answers images that torch answered."""

    images: int
    difference: float
    """The largest difference of a probability."""
    others: int
    """Images that are answered by another class, by more than the tolerance."""


class Exportable(nn.Module):
    """All that the exported file computes: pixels (B, S, S, 3) to the outputs."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, facts: Facts) -> None:
        super().__init__()
        self.network = AllViews(network) if isinstance(network, Probe) else network
        card, rule = facts.card, facts.calibration
        self.watched = partial(watched, network, card)
        self.register_buffer("mean", torch.tensor(card.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(card.std)[:, None, None])
        self.temperature = rule.get("temperature", 1.0)
        threshold, known = rule.get("threshold"), rule.get("positive") in card.classes
        self.threshold = threshold if known else None
        self.positive = card.classes.index(rule["positive"]) if known else 0

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Give probabilities (B, C), answers (B,), log-probabilities (B, C), features (B, F)."""
        images = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
        with self.watched() as seen:
            logs = self.network((images - self.mean) / self.std).float().log_softmax(dim=1)
        features = (over_views(seen, pixels.shape[0]).float(),) if seen else ()
        return (*self._answers(logs), logs, *features)

    def _answers(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        """Give probabilities (B, C) and answers (B,) of log-probabilities (B, C)."""
        shares = (logs / self.temperature).softmax(dim=1)
        if self.threshold is None:
            return shares, logs.argmax(dim=1)
        positive = torch.arange(shares.shape[1]) == self.positive  # (C,)
        others = shares.masked_fill(positive, -1.0).argmax(dim=1)
        enough = shares[:, self.positive] >= self.threshold
        return shares, torch.where(enough, self.positive, others)


class AllViews(nn.Module):
    """Answer as a probe does, with the views of all images in one batch.

    So the file holds the network once, and not once a view.
    """

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self.probe = probe

    def forward(self, images: Tensor) -> Tensor:
        """Give the logarithm of mean probabilities (B, C)."""
        views = torch.cat([turn(images, each) for each in self.probe.turns])  # (V B, 3, S, S)
        logs = self.probe.answer(self.probe.embedding(views))  # (H, V B, C)
        logs = logs.reshape(-1, images.shape[0], logs.shape[2])  # (H V, B, C)
        return torch.logsumexp(logs, dim=0) - math.log(len(logs))


def export_model(
    model: Path, calibration: Mapping[str, Any], file: Path, about: Mapping[str, str]
) -> None:
    """Write the ONNX file of a model; `about` joins what it says of itself, in words by name.

    Raises:
        InputError: it is no model file that this project wrote.
        ExportError: the network holds something that ONNX can't express.
    """
    network, card = load_network(model)
    facts = Facts(card, dict(calibration), hashlib.sha256(model.read_bytes()).hexdigest())
    single = card.members == 1
    example = torch.zeros((2, card.image_size, card.image_size, 3), dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                Exportable(network, facts).eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=[IMAGES],
                output_names=[PROBABILITIES, ANSWERS, LOGS, *([FEATURES] if single else [])],
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        raise ExportError(
            f"{card.architecture} can't be written as ONNX: {' '.join(str(error).split())[:200]}"
        ) from error
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata_of(facts, about))
    onnx.save(proto, file)


def check_export(
    model: Path, file: Path, pixels: PixelSource, rows: Rows, compute: Compute
) -> Agreement:
    """Answer images by torch and by the exported file.

    Raises:
        ExportError: a probability differs by more than the tolerance, or the class does.
    """
    predict, exported = open_network(model, compute), ExportedModel(file, compute.threads)
    difference, others = 0.0, 0
    for start in range(0, len(rows), BATCH):
        some = pixels.take(rows[start : start + BATCH])
        found, logs = exported.run(some), predict(some)
        shares = softmax(logs, exported.facts.calibration.get("temperature", 1.0))
        difference = max(difference, float(np.abs(shares - found.probabilities).max()))
        others += _other_answers(shares, logs, found.answers, exported.facts)
    agreement = Agreement(len(rows), difference, others)
    if not difference <= TOLERANCE or others:
        raise ExportError(
            f"The exported model must answer as torch does, got another class for {others} of "
            f"{len(rows)} images and a largest difference of {difference:.2g} in a probability "
            f"(at most {TOLERANCE:g}). It was not kept."
        )
    return agreement


def _other_answers(shares: FloatArray, logs: FloatArray, answers: Int64Array, facts: Facts) -> int:
    """Count the images that are answered otherwise, where that is no matter of rounding."""
    classes, rule = facts.card.classes, facts.calibration
    border = rule.get("threshold") if rule.get("positive") in classes else None
    count = 0
    for row, own, answer in zip(shares, logs, answers, strict=True):
        named = dict(zip(classes, row.tolist(), strict=True))
        wanted = classes.index(answered_class(named, classes[int(own.argmax())], rule))
        gap = row[wanted] - row[answer] if border is None else named[rule["positive"]] - border
        count += int(wanted != answer and abs(gap) > TOLERANCE)
    return count
