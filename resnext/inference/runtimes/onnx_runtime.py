"""Prediction by ONNX Runtime, from an exported model on a CPU."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

# It reports its use to its maker otherwise, as soon as it is imported.
# Source: https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidProtobuf,
    NoSuchFile,
)

from resnext.contracts.errors import InputError
from resnext.data.pixels import Pixels
from resnext.device import Compute
from resnext.inference.execution import Describing, FloatArray, Int64Array, Predictor
from resnext.inference.exported import (
    ANSWERS,
    FEATURES,
    IMAGES,
    LOGS,
    PROBABILITIES,
    Facts,
    read_facts,
)
from resnext.inference.reference import Features

ERRORS_ONLY = 3


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

    def describe(self, pixels: Pixels) -> tuple[FloatArray, Features | None]:
        """Give these, and features (B, F); None where the file was exported without."""
        if FEATURES not in {each.name for each in self.session.get_outputs()}:
            return self.predict(pixels), None
        logs, features = self.session.run([LOGS, FEATURES], {IMAGES: pixels})
        return np.asarray(logs, dtype=np.float64), features


def open_exported(path: Path, compute: Compute) -> Predictor:
    """Open an exported model, to be computed as it is said.

    Raises:
        InputError: it is no file that this project exported.
    """
    return ExportedModel(path, compute.threads).predict


def open_describing(path: Path, compute: Compute) -> Describing:
    """Open an exported model that gives its features too; see `open_exported`."""
    return ExportedModel(path, compute.threads).describe
