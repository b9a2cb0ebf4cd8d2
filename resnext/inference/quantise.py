"""Make an exported model compute in 8 bits: about twice as fast, and a quarter of its size.

Weights and activations become whole numbers from 0 to 255, whose ranges are those of some images of
the training part (static quantisation). Pixels in, probabilities out and the metadata stay as they
are. Its answers are not those of the model: how many of them are others has to be measured.

Source: Jacob et al. 2018, https://arxiv.org/abs/1712.05877; https://onnxruntime.ai/docs/performance/
model-optimizations/quantization.html
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from resnext.data.pixels import PixelSource, Rows
from resnext.device import count_cpus
from resnext.inference.exported import IMAGES
from resnext.inference.runtimes.onnx_runtime import ExportedModel
from resnext.inference.tables import prediction_columns

BATCH = 4  # images that are looked at together
QUANTISED = ["Conv", "Gemm", "MatMul", "Add", "MaxPool"]  # normalisation and softmax stay as exact


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Give the images that ranges are taken from."""

    def __init__(self, pixels: PixelSource, rows: Rows) -> None:
        starts = range(0, len(rows), BATCH)
        self.batches: Iterator[Any] = (pixels.take(rows[start : start + BATCH]) for start in starts)

    def get_next(self) -> dict[str, Any] | None:
        """Give the next batch; None behind the last one."""
        batch = next(self.batches, None)
        return None if batch is None else {IMAGES: batch}


def quantise(exported: Path, pixels: PixelSource, rows: Rows, file: Path) -> None:
    """Write the 8-bit model of an exported one; ranges are taken from the images of `rows`."""
    logging.getLogger().addFilter(_no_advice)
    try:
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            simplified = Path(folder) / "simplified.onnx"
            quant_pre_process(str(exported), str(simplified), skip_symbolic_shape=True)
            quantize_static(
                str(simplified),
                str(file),
                _Batches(pixels, rows),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTISED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.getLogger().removeFilter(_no_advice)


def answers_of(file: Path, images: pd.DataFrame, pixels: PixelSource, rows: Rows) -> pd.DataFrame:
    """Give the answers of an exported model to labelled images, as a test part's predictions.csv.

    `images` (path, label, group) are those of `rows`.
    """
    model = ExportedModel(file, count_cpus())
    starts = range(0, len(rows), BATCH)
    logs = [model.predict(pixels.take(rows[start : start + BATCH])) for start in starts]
    answers = prediction_columns(np.concatenate(logs), model.facts.card.classes)
    known = images[["path", "label", "group"]].reset_index(drop=True).assign(split="test")
    return pd.concat([known, answers], axis=1)


def _no_advice(record: logging.LogRecord) -> bool:
    """Leave out what the library says to programmers."""
    return record.levelno > logging.WARNING
