"""A trained model that answers images: the library's way to predict, in a few lines.

Decoding, the scale of deep images, resizing, normalisation and calibration are inside, so that an
answer is the one that `flows/predict.py` gives for the same file. torch is imported for a model
file alone; an exported model does without.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
from PIL import Image, ImageOps

from resnext.contracts.errors import InputError
from resnext.contracts.threshold import (
    UNLIKE,
    answered_class,
    is_referred,
    is_unlike,
    possible_classes,
)
from resnext.data.decoding.decode import decode, to_8_bit, to_rgb
from resnext.data.pixels import DETAIL, Pixels, to_square
from resnext.device import plan_compute
from resnext.inference.calibration import read_calibration, softmax
from resnext.inference.execution import Execution, Judging, RuntimeName
from resnext.inference.exported import SUFFIX, Facts
from resnext.inference.predictor import open_judging
from resnext.inference.reference import FILE as REFERENCE
from resnext.inference.reference import reference_beside
from resnext.models.model_file import ModelCard, read_card

ImageOrPath: TypeAlias = Image.Image | Path | str
CALIBRATION = "calibration.json"
BATCH = 32  # images predicted at once


class Answer(NamedTuple):
    """Hold the class that is answered for an image, and the calibrated probability of each."""

    name: str
    probabilities: dict[str, float]
    refer: bool = False
    """Whether the answer is too uncertain to be given."""
    possible: tuple[str, ...] = ()
    """The classes that the image may be of, the likeliest first; empty where that is not known."""
    unlike_training: float | None = None
    """The share 0..1 of held-out images that are more like the training images; see `reference`."""

    @property
    def oddness(self) -> str:
        """Say that the image is unlike the training images; empty where it is not, or not known."""
        return UNLIKE if is_unlike(self.unlike_training) else ""


class Model:
    """Answer which class an image shows; made by `load_model`."""

    def __init__(self, judge: Judging, card: ModelCard, calibration: Mapping[str, Any]) -> None:
        self.judge, self.card, self.calibration = judge, card, calibration

    @overload
    def predict(self, images: ImageOrPath) -> Answer: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, images: Sequence[ImageOrPath]) -> list[Answer]: ...

    def predict(self, images: ImageOrPath | Sequence[ImageOrPath]) -> Answer | list[Answer]:
        """Give the answer for an image (a path, or one of Pillow's), or one for each of a list.

        Raises:
            InputError: a file is missing, or can't be decoded.
        """
        if isinstance(images, Image.Image | Path | str):
            return self.predict([images])[0]
        starts = range(0, len(images), BATCH)
        return [each for start in starts for each in self._answers(images[start : start + BATCH])]

    def _answers(self, images: Sequence[ImageOrPath]) -> list[Answer]:
        classes, calibration = self.card.classes, self.calibration
        pixels = np.stack([self._pixels(image) for image in images])
        logs, far = self.judge(pixels)  # (B, C), (B,)
        shares = softmax(logs, calibration.get("temperature", 1.0)).tolist()
        found = [dict(zip(classes, row, strict=True)) for row in shares]
        best = [classes[number] for number in logs.argmax(axis=1).tolist()]
        names = [
            answered_class(row, likeliest, calibration)
            for row, likeliest in zip(found, best, strict=True)
        ]
        return [
            Answer(
                name,
                row,
                is_referred(row[name], calibration),
                possible_classes(row, likeliest, calibration),
                None if math.isnan(each) else each,
            )
            for name, row, likeliest, each in zip(names, found, best, far.tolist(), strict=True)
        ]

    def _pixels(self, image: ImageOrPath) -> Pixels:
        """Give the pixels (S, S, 3) that the network sees."""
        return to_square(to_rgb(self._upright(image)), self.card.image_size, self.card.fit)

    def _upright(self, image: ImageOrPath) -> Image.Image:
        """Decode an image, upright and in 8 bits."""
        if isinstance(image, Image.Image):
            return ImageOps.exif_transpose(to_8_bit(image, self.card.levels))
        try:
            data = Path(image).read_bytes()
            return decode(data, self.card.levels, at_least=DETAIL * self.card.image_size).upright
        except Exception as error:  # decoders raise all kinds on damaged bytes
            rule = "be files that can be decoded"
            raise InputError("images", rule, f"'{image}' ({error})") from error


def load_model(path: Path | str, device: str = "auto") -> Model:
    """Load a model file, or an exported model, with what lies beside it.

    That is its calibration.json, and its reference.safetensors, by which it tells what is unlike
    the training images.

    Args:
        path: A `model.safetensors` that the pipeline wrote, or an .onnx file that was exported.
        device: auto, cpu, cuda or mps. An exported model is computed on the CPU.

    Raises:
        InputError: it is no such file, the calibration can't be read, or the device isn't there.
    """
    file = Path(path)
    if file.suffix == SUFFIX and device not in ("auto", "cpu"):
        remedy = "Load the model.safetensors instead."
        raise InputError("device", "be cpu for an exported model", device, remedy)
    facts = read_facts(file)
    runtime: RuntimeName = "onnx" if file.suffix == SUFFIX else "torch"
    compute = plan_compute("cpu" if runtime == "onnx" else device)
    known = None
    if file.with_name(REFERENCE).is_file():  # else a large file would be hashed for nothing
        with file.open("rb") as opened:
            digest = facts.made_of or hashlib.file_digest(opened, "sha256").hexdigest()
        known = reference_beside(file, [digest])
    judge = open_judging(file, Execution(runtime=runtime, compute=compute), known)
    return Model(judge, facts.card, facts.calibration)


def read_facts(file: Path) -> Facts:
    """Read what a model file says of itself, with the calibration.json beside it; or an export's.

    Raises:
        InputError: it is no such file, or the calibration can't be read.
    """
    if file.suffix == SUFFIX:
        from resnext.inference.runtimes.onnx_runtime import ExportedModel

        return ExportedModel(file, threads=1).facts
    calibration = file.with_name(CALIBRATION)
    return Facts(read_card(file), read_calibration(calibration) if calibration.is_file() else {})
