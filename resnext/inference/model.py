"""A trained model that answers images: the library's way to predict, in a few lines.

Decoding, the scale of deep images, resizing, normalisation and calibration are inside, so that an
answer is the one that `flows/predict.py` gives for the same file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
from PIL import Image, ImageOps
from torch import nn

from resnext.contracts.answers import answered_class
from resnext.contracts.errors import InputError
from resnext.data.decoding.decode import decode, to_rgb
from resnext.data.decoding.deep import deep_grey, in_8_bits
from resnext.data.pixels import DETAIL, Pixels, Rows
from resnext.device import Compute, plan_compute
from resnext.inference.predict import read_calibration
from resnext.models.model_file import ModelCard, load_network
from resnext.training import engine
from resnext.training.batches import Part

Picture: TypeAlias = Image.Image | Path | str
CALIBRATION = "calibration.json"


class Answer(NamedTuple):
    """Hold the class that is answered for an image, and the calibrated probability of each."""

    name: str
    probabilities: dict[str, float]


class Model:
    """Answer which class an image shows; made by `load_model`."""

    def __init__(
        self, network: nn.Module, card: ModelCard, compute: Compute, calibration: Mapping[str, Any]
    ) -> None:
        self.network, self.card, self.compute = network, card, compute
        self.calibration = calibration

    @overload
    def predict(self, images: Picture) -> Answer: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, images: Sequence[Picture]) -> list[Answer]: ...

    def predict(self, images: Picture | Sequence[Picture]) -> Answer | list[Answer]:
        """Give the answer for an image (a path, or one of Pillow's), or one for each of a list.

        Raises:
            InputError: a file is missing, or can't be decoded.
        """
        if isinstance(images, Image.Image | Path | str):
            return self.predict([images])[0]
        count, classes = len(images), self.card.classes
        part = Part(np.arange(count), np.zeros(count, np.int64), ["0"] * count, [""] * count)
        source = _Images(images, self.card)
        logs = engine.predict(self.network, source, part, self.compute, scale=self.card.scale)
        shares = (logs / self.calibration.get("temperature", 1.0)).softmax(dim=1).tolist()
        found = [dict(zip(classes, row, strict=True)) for row in shares]
        best = [classes[place] for place in logs.argmax(dim=1).tolist()] if count else []
        return [
            Answer(answered_class(row, likeliest, self.calibration), row)
            for row, likeliest in zip(found, best, strict=True)
        ]


class _Images:
    """The pixels of images that are decoded when they are asked for."""

    def __init__(self, images: Sequence[Picture], card: ModelCard) -> None:
        self.images, self.size, self.levels = images, card.image_size, card.levels

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some images."""
        square = (self.size, self.size)
        wanted = [to_rgb(self._upright(self.images[row])) for row in rows]
        resized = [each.resize(square, Image.Resampling.BILINEAR) for each in wanted]
        return np.stack([np.asarray(each) for each in resized])

    def _upright(self, image: Picture) -> Image.Image:
        """Decode an image, upright and in 8 bits."""
        if isinstance(image, Image.Image):
            deep = deep_grey(image)
            plain = image if deep is None else in_8_bits(deep, self.levels)[0]
            return ImageOps.exif_transpose(plain)
        try:
            return decode(
                Path(image).read_bytes(), self.levels, at_least=DETAIL * self.size
            ).upright
        except Exception as error:  # decoders raise all kinds on damaged bytes
            raise InputError(
                "images", "be files that can be decoded", f"'{image}' ({error})"
            ) from error


def load_model(path: Path | str, device: str = "auto") -> Model:
    """Load a model file, and the calibration.json beside it where there is one.

    Args:
        path: A `model.safetensors` that the pipeline wrote.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: it is no such file, the calibration can't be read, or the device isn't there.
    """
    file = Path(path)
    network, card = load_network(file)
    compute = plan_compute(device, card.architecture, deterministic=False)
    calibration = file.with_name(CALIBRATION)
    known = read_calibration(calibration) if calibration.is_file() else {}
    return Model(network, card, compute, known)
