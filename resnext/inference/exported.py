"""What an exported model is: the names in an ONNX file, and what its metadata say.

Normalisation, network, calibration and threshold are inside the file. It takes squares of pixels
and gives calibrated probabilities, so that ONNX Runtime, NumPy and Pillow are all that it needs.
`resnext.inference.export` writes it. Knows no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from resnext.contracts.errors import InputError
from resnext.models.model_file import METADATA_KEY, ModelCard

FILE, SUFFIX = "model.onnx", ".onnx"
SMALL = "model.int8.onnx"
"""One that computes in 8 bits."""
IMAGES = "images"
"""The input: RGB pixels, uint8 (B, S, S, 3)."""
PROBABILITIES, ANSWERS, LOGS = "probabilities", "answers", "log_probabilities"
"""The outputs: calibrated, float32 (B, C); numbers of the answered classes, int64 (B,); and the
network's own log-probabilities before calibration, float32 (B, C)."""
FEATURES = "features"
"""One more, of a single network: what its last layer is given, float32 (B, F)."""
CALIBRATION, MADE_OF = "calibration", "model_sha256"
TOLERANCE = 1e-4  # of a probability, between two runtimes
EXAMPLE = '''"""Answer which class a picture shows: python example.py PICTURE"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
{resizing}
pixels = np.asarray(image)[None]
probabilities, answers = session.run(["probabilities", "answers"], {{"images": pixels}})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
print(classes[answers[0]], dict(zip(classes, probabilities[0].tolist())))
'''
HOW_TO_RESIZE = {
    "stretch": "image = image.resize(({size}, {size}), Image.Resampling.BILINEAR)",
    "centre": """side = min(image.size)
left, top = ((length - side) // 2 for length in image.size)
image = image.crop((left, top, left + side, top + side))
image = image.resize(({size}, {size}), Image.Resampling.BICUBIC)""",
}
"""How Pillow makes the input of an upright RGB image, in lines of Python."""


class Facts(NamedTuple):
    """What a model says of itself."""

    card: ModelCard
    calibration: dict[str, Any]
    """What calibration.json holds; empty without one."""
    made_of: str = ""
    """Of an exported model, the SHA-256 of its model.safetensors."""


def metadata_of(facts: Facts, more: Mapping[str, str]) -> dict[str, str]:
    """Write what a file says of itself: for this program, and for people."""
    card = facts.card
    return {
        METADATA_KEY: card.model_dump_json(),
        CALIBRATION: json.dumps(facts.calibration),
        MADE_OF: facts.made_of,
        "classes": json.dumps(card.classes, ensure_ascii=False),
        "input": f"uint8 (B, {card.image_size}, {card.image_size}, 3): Pillow images, upright "
        f"(ImageOps.exif_transpose), RGB, 8 bits a channel, and then: {resizing_of(card)}",
        **more,
    }


def example_for(card: ModelCard) -> str:
    """Write a program that answers with the file of such a model."""
    return EXAMPLE.format(resizing=resizing_of(card))


def resizing_of(card: ModelCard) -> str:
    """Write in Python how an upright RGB image is made as the model sees it."""
    return HOW_TO_RESIZE[card.fit].format(size=card.image_size)


def read_facts(metadata: Mapping[str, str], path: Path) -> Facts:
    """Read what a file says of itself.

    Raises:
        InputError: it is no file that this project exported.
    """
    try:
        card = ModelCard.model_validate_json(metadata[METADATA_KEY])
        return Facts(card, json.loads(metadata[CALIBRATION]), metadata[MADE_OF])
    except (KeyError, ValueError, ValidationError) as error:
        rule = "be an .onnx file that flows/export.py wrote"
        raise InputError("model", rule, f"'{path}'", "Name another file.") from error
