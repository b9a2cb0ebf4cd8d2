"""Prediction by ONNX Runtime, from an exported model on a CPU.

Files are decoded and predicted by several processes, each by one thread. That is faster than one
process with as many threads, and the bytes do not hang on how many there are.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidProtobuf,
    NoSuchFile,
)

from resnext.contracts.errors import InputError
from resnext.data.pixels import Pixels, Progress, ScannedImage, to_pixels
from resnext.data.processes import map_chunks
from resnext.inference.exported import ANSWERS, IMAGES, LOGS, PROBABILITIES, Facts, read_facts
from resnext.inference.predictor import FloatArray, Int64Array

ERRORS_ONLY = 3
AT_ONCE = 4  # images that a process of one thread computes together


class Output(NamedTuple):
    """What an exported model gives: see `resnext.inference.exported`."""

    probabilities: FloatArray
    answers: Int64Array
    logs: FloatArray


class ExportedModel:
    """An exported model, opened."""

    def __init__(self, path: Path, threads: int) -> None:
        """Open it, to be computed by so many threads.

        Raises:
            InputError: it is no file that this project exported.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ERRORS_ONLY
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except (Fail, InvalidArgument, InvalidProtobuf, NoSuchFile) as error:
            rule, remedy = "be an .onnx file that flows/export.py wrote", "Name another file."
            raise InputError("model", rule, f"'{path}'", remedy) from error
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.facts: Facts = read_facts(metadata, path)

    def run(self, pixels: Pixels) -> Output:
        """Give all outputs for squares of pixels (B, S, S, 3)."""
        return Output(*self.session.run([PROBABILITIES, ANSWERS, LOGS], {IMAGES: pixels}))

    def predict(self, pixels: Pixels) -> FloatArray:
        """Give log-probabilities (B, C) before calibration, float64."""
        (logs,) = self.session.run([LOGS], {IMAGES: pixels})
        return np.asarray(logs, dtype=np.float64)


def predict_files(
    path: Path, images: Sequence[ScannedImage], workers: int, progress: Progress | None = None
) -> FloatArray:
    """Give log-probabilities (N, C) of image files, before calibration, by so many processes.

    Without an image there is no C: (0,).

    `progress` is called with images done and images in all.

    Raises:
        InputError: it is no exported model, or an image changed since it was scanned.
    """
    work = partial(_predict_some, path, path.stat().st_mtime_ns)
    found = list(map_chunks(work, list(images), workers, _crashed, progress))
    return np.array(found, dtype=np.float64)


def _predict_some(path: Path, changed: int, images: Sequence[ScannedImage]) -> list[FloatArray]:
    model = _opened(path, changed)
    size, levels, fit = (
        getattr(model.facts.card, name) for name in ("image_size", "levels", "fit")
    )
    found: list[FloatArray] = []
    for start in range(0, len(images), AT_ONCE):
        some = images[start : start + AT_ONCE]
        found += [*model.predict(np.stack([to_pixels(each, size, levels, fit) for each in some]))]
    return found


@lru_cache(1)
def _opened(path: Path, changed: int) -> ExportedModel:  # noqa: ARG001 - another time, another file
    """Open a model once in a process."""
    return ExportedModel(path, threads=1)


def _crashed(image: ScannedImage) -> FloatArray:
    got, remedy = "a crash of its decoder, or too little memory", "Remove it, and run again."
    raise InputError(f"Image '{image.path}'", "be decodable", got, remedy)
