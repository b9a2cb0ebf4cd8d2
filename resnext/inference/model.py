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

from resnext.contracts.errors import InputError
from resnext.contracts.threshold import answered_class
from resnext.data.decoding.decode import decode, to_8_bit, to_rgb
from resnext.data.pixels import DETAIL, Pixels, Rows, to_square
from resnext.device import Compute, plan_compute
from resnext.inference.predict import read_calibration
from resnext.models.model_file import ModelCard, load_network
from resnext.training import engine
from resnext.training.batches import unlabelled

ImageOrPath: TypeAlias = Image.Image | Path | str
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
        classes, source = self.card.classes, _Images(images, self.card)
        subset = unlabelled(["0"] * len(images), [""] * len(images))
        logs = engine.predict(self.network, source, subset, self.compute, scale=self.card.scale)
        shares = (logs / self.calibration.get("temperature", 1.0)).softmax(dim=1).tolist()
        found = [dict(zip(classes, row, strict=True)) for row in shares]
        best = [classes[number] for number in logs.argmax(dim=1).tolist()] if len(images) else []
        return [
            Answer(answered_class(row, likeliest, self.calibration), row)
            for row, likeliest in zip(found, best, strict=True)
        ]


class _Images:
    """The pixels of images that are decoded when they are asked for."""

    def __init__(self, images: Sequence[ImageOrPath], card: ModelCard) -> None:
        self.images, self.size = images, card.image_size
        self.levels, self.fit = card.levels, card.fit

    def take(self, rows: Rows) -> Pixels:
        """Give the pixels (N, S, S, 3) of some images."""
        upright = [self._upright(self.images[row]) for row in rows]
        return np.stack([to_square(to_rgb(image), self.size, self.fit) for image in upright])

    def _upright(self, image: ImageOrPath) -> Image.Image:
        """Decode an image, upright and in 8 bits."""
        if isinstance(image, Image.Image):
            return ImageOps.exif_transpose(to_8_bit(image, self.levels))
        try:
            data = Path(image).read_bytes()
            return decode(data, self.levels, at_least=DETAIL * self.size).upright
        except Exception as error:  # decoders raise all kinds on damaged bytes
            rule = "be files that can be decoded"
            raise InputError("images", rule, f"'{image}' ({error})") from error


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
