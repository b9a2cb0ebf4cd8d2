"""Answer one image by its bytes, and show it: small, with a heat map over it.

An image is read, refused and answered as a file of a batch is. torch is imported where it answers,
or for the first heat map.
"""

from __future__ import annotations

import math
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.contracts.heat_maps import COARSE
from resnext.data.decoding.decode import admitted_pixels, decode, quiet, to_rgb
from resnext.data.manifest.reading import read_data, why_refused
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.pixels import DETAIL, centre_square, to_square
from resnext.data.thumbnails import as_uri, lay_over, shrink
from resnext.device import Compute
from resnext.inference.batch import note_of
from resnext.inference.model import Answer, Model
from resnext.models.architectures import find_architecture
from resnext.models.model_file import ModelCard

if TYPE_CHECKING:  # it imports torch
    from resnext.inference.explain import Explainer

SIDE = 320  # pixels of a thumbnail's longer side
STRIDE = 32  # pixels a side to one place of the last layer, as nearly all networks have it


class Shown(NamedTuple):
    """What is answered for an image, what is odd about it, and how it looks, as data URIs."""

    answer: Answer
    note: str
    thumbnail: str = ""
    heat_map: str = ""
    """Empty where the model has none."""


class OneImage:
    """A model that answers images by their bytes, one at a time."""

    def __init__(
        self, model: Model, reading: ReadingSettings, weights: Path | None, compute: Compute
    ) -> None:
        """Take an open model, and the weights that heat maps are computed with, if any."""
        self.model, self.reading = model, reading
        self.weights, self.compute = weights, compute

    def answer(self, data: bytes, explain: bool) -> Shown:
        """Answer an image; with `explain`, show it too.

        Raises:
            InputError: the bytes are no image that can be used.
        """
        image, note = self._read(data)
        answer = self.model.predict(image)
        if not explain:
            return Shown(answer, note)
        card = self.model.card
        small = shrink(centre_square(image) if card.fit == "centre" else image, SIDE)
        shown = Shown(answer, note, as_uri(small))
        if self._explainer is None:
            return shown
        heat = self._explainer.heat(to_square(image, card.image_size, card.fit), answer.name)
        return shown if heat is None else shown._replace(heat_map=as_uri(lay_over(small, heat)))

    @cached_property
    def _explainer(self) -> Explainer | None:
        if self.weights is None or not has_heat_maps(self.model.card):
            return None
        from resnext.inference.explain import Explainer

        return Explainer(self.weights, self.compute)

    def _read(self, data: bytes) -> tuple[Image.Image, str]:
        """Read an image, upright and in RGB, and what is odd about it.

        Raises:
            InputError: it can't be used.
        """
        card, most = self.model.card, admitted_pixels(self.reading.max_pixels)
        least = DETAIL * card.image_size
        decoding = partial(decode, levels=card.levels, at_least=least, max_pixels=most, mend=True)
        with quiet():
            # Pixels alone: an orientation in EXIF would turn them again.
            found, image = read_data(
                data, decoding, lambda seen: Image.fromarray(np.asarray(to_rgb(seen.upright)))
            )
        reason = why_refused(found, self.reading.truncated == "keep", most)
        if image is None or reason:
            raise InputError("image", "be one that can be used", reason)
        return image, note_of(found, card)


def has_heat_maps(card: ModelCard) -> bool:
    """Tell whether a model can show where it looks; several networks that answer together don't.

    Nor does one whose images are so small that a map would tell too few places apart.
    """
    places = math.ceil(card.image_size / STRIDE)
    has_layer = find_architecture(card.architecture).heat_layer is not None
    return card.members == 1 and has_layer and places >= COARSE
