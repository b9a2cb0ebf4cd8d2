"""Measure what an image shows besides its subject: brightness, border, sharpness, size, file.

Such cues may tell the class where one clinic sent all images of it. What the network sees is
measured on the packed pixels. What its file is comes from the manifest. The quality of a JPEG is
read from the quantisation tables in its head.

Source: ITU-T T.81, annex K (the tables), and libjpeg's jcparam.c (how a quality scales them)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from resnext.data.decoding.decode import quiet
from resnext.data.pixels import PackedPixels, Pixels, Rows

BORDER = 0.1  # of the side: the width of the outer border
GRID = 32  # pixels a side that are looked at, at least
AT_ONCE = 1 << 25  # bytes of pixels that are measured at once
STANDARD_SUM = 3679  # of the 64 numbers of the table for brightness at quality 50
JPEG = ("JPEG", "MPO")
PLAIN_TURNS = 4  # EXIF orientations up to this one leave width and height as they are stored


def measure_cues(root: Path, manifest: pd.DataFrame, pixels: PackedPixels) -> pd.DataFrame:
    """Measure the images of a manifest that lie below root: a row an image, in their order.

    Columns: path, brightness (0..1), border_red, border_green, border_blue (0..1), sharpness (the
    logarithm of the variance of the Laplacian), megapixels, aspect (width by height, upright),
    bytes, format, jpeg_quality (1..100, NaN of other formats and of what can't be read).
    """
    turned = manifest["orientation"] > PLAIN_TURNS
    aspect = manifest["width"] / manifest["height"]
    seen = _measure(pixels, pixels.rows(manifest["sha256"].tolist()))
    return pd.DataFrame(
        {
            "path": manifest["path"].to_numpy(),
            **{name: seen[:, place] for place, name in enumerate(SEEN)},
            "megapixels": (manifest["width"] * manifest["height"] / 1e6).to_numpy(),
            "aspect": aspect.where(~turned, 1 / aspect).to_numpy(),
            "bytes": manifest["bytes"].to_numpy(),
            "format": manifest["format"].to_numpy(),
            "jpeg_quality": [
                jpeg_quality(root / path) if kind in JPEG else np.nan
                for path, kind in zip(manifest["path"], manifest["format"], strict=True)
            ],
        }
    )


# ---------------------------------------------------------------- pixels

SEEN = ("brightness", "border_red", "border_green", "border_blue", "sharpness")


def _measure(pixels: PackedPixels, rows: Rows) -> npt.NDArray[np.float64]:
    """Measure rows of packed pixels: (N, 5)."""
    step = max(1, AT_ONCE // (3 * pixels.size**2))
    starts = range(0, len(rows), step)
    found = [see(pixels.take(rows[start : start + step])) for start in starts]
    return np.concatenate([np.zeros((0, len(SEEN))), *found])


def see(images: Pixels) -> npt.NDArray[np.float64]:
    """Measure images (N, S, S, 3): brightness, colour of the border, sharpness, (N, 5).

    Of a large image every k-th pixel of a row and of a column is looked at.
    """
    step = max(1, images.shape[1] // GRID)
    brightness = images[:, ::step, ::step].mean(axis=(1, 2, 3)) / 255
    return np.column_stack(
        [brightness, border_colour(images, step) / 255, sharpness(images[..., 1], step)]
    )


def border_colour(images: Pixels, step: int = 1) -> npt.NDArray[np.float64]:
    """Average the outer border, a tenth of the side wide, (N, 3)."""
    size = images.shape[1]
    wide = max(1, round(BORDER * size))
    top, bottom = images[:, :wide, ::step], images[:, size - wide :, ::step]
    inside = slice(wide, size - wide, step)
    left, right = images[:, inside, :wide], images[:, inside, size - wide :]
    flat = [part.reshape(len(images), -1, 3) for part in (top, bottom, left, right)]
    return np.asarray(np.concatenate(flat, axis=1).mean(axis=1))


def sharpness(green: npt.NDArray[np.uint8], step: int = 1) -> npt.NDArray[np.float64]:
    """Give the logarithm of the variance of the Laplacian of one channel (N, S, S), (N,).

    Source: Pech-Pacheco et al. 2000, https://doi.org/10.1109/ICPR.2000.903548
    """
    last = green.shape[1] - 1
    middle, before, after = (slice(i, last + i - 1, step) for i in (1, 0, 2))
    views = ((middle, middle), (before, middle), (after, middle), (middle, before), (middle, after))
    centre, *around = (green[:, rows, columns].astype(np.int16) for rows, columns in views)
    edges = 4 * centre - sum(around, np.zeros_like(centre))
    return np.asarray(np.log1p(edges.var(axis=(1, 2), dtype=np.float64)))


# ---------------------------------------------------------------- files


def jpeg_quality(path: Path) -> float:
    """Estimate the quality, 1..100, that a JPEG was written with; NaN where it can't be read.

    Tables of other programs count as those of the quality whose numbers have the same sum.
    """
    try:
        with quiet(), Image.open(path, formats=["JPEG"]) as image:
            table = getattr(image, "quantization", {}).get(0)
    except (OSError, ValueError, SyntaxError):
        return float("nan")
    if not table or not sum(table):
        return float("nan")
    scale = 100 * sum(table) / STANDARD_SUM
    return float(np.clip(5000 / scale if scale > 100 else (200 - scale) / 2, 1, 100).round())
