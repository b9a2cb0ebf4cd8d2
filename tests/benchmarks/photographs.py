"""Made-up photographs for the benchmarks."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_photographs(root: Path, size: tuple[int, int], number: int) -> list[str]:
    """Draw JPEGs of two classes with the detail of a photograph: soft noise of several scales."""
    random = np.random.default_rng(0)
    paths = []
    for place in range(number):
        path = root / "ab"[place % 2] / f"{place:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        layers = [
            Image.fromarray(random.integers(0, 255, (side, side, 3), dtype=np.uint8)).resize(size)
            for side in (4, 16, 64)
        ]
        Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.2).save(path, quality=90)
        paths.append(str(path))
    return paths
