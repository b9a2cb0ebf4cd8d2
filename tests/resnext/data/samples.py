"""What several tests of the scan and the split share: pictures on a disk, manifests by name."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from resnext.contracts.errors import InputError
from resnext.data.manifest.scan import Scan, scan
from resnext.data.split import duplicates
from resnext.data.split.describe import describe_split
from resnext.data.split.draw import draw
from resnext.data.split.duplicates import NearDuplicates
from resnext.data.split.groups import find_groups
from resnext.data.split.settings import SplitSettings
from resnext.data.split.split_folder import FolderSplit, join, split_folder
from resnext.data.split.tables import NO_TABLES, Sources

DATA = [
    Path(__file__).parents[3] / "data" / "45-data",
    Path(__file__).parents[4] / "shared" / "data" / "45-data",
]
NOTHING_NEAR = NearDuplicates(pd.DataFrame(columns=duplicates.COLUMNS), {})


# ---------------------------------------------------------------- pictures


def picture(width: int = 40, height: int = 30, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Draw something that has an up, a down, a left and a right."""
    image = Image.new("RGB", (width, height), (200, 160, 140))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width // 2, height // 3), fill=(20 + seed % 200, 40, 90))
    pen.ellipse((width // 2, height // 2, width - 2, height - 2), fill=(250, 240, 80))
    return image.convert(mode)


def save(path: Path, image: Image.Image | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = options.pop("format", None)
    (image or picture()).save(path, None if kind is None else str(kind), **options)
    return path


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Lay out a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    size: tuple[int, int],
    rows: Iterable[bytes] = (),
    depth: int = 8,
    colour: int = 2,
    lace: int = 0,
) -> bytes:
    """Lay out a PNG; every row begins with a byte that names its filter, here none."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, lace)
    pixels = zlib.compress(b"".join(b"\0" + line for line in rows))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def cats_and_dogs(root: Path) -> Path:
    """Two classes with two good pictures each."""
    for label in ("cat", "dog"):
        for number in (1, 2):
            save(root / label / f"{number}.png", picture(seed=50 * number + len(label)))
    return root


def jpeg_cut(path: Path) -> None:
    data = save(path, picture(200, 200), format="JPEG").read_bytes()
    path.write_bytes(data[: len(data) // 2])


def reasons(found: Scan) -> dict[str, str]:
    return dict(zip(found.quarantine["path"], found.quarantine["reason"], strict=True))


def row(found: Scan, path: str) -> dict[str, Any]:
    rows = found.manifest[found.manifest["path"] == path].to_dict("records")
    assert len(rows) == 1
    return {str(key): value for key, value in rows[0].items()}


def message(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        scan(root)
    text = str(caught.value)
    assert "\n" not in text
    return text


@cache
def users_scan() -> Scan:
    """Scan the monkeypox pictures, where they are."""
    root = next((path for path in DATA if path.is_dir()), None)
    if root is None:
        pytest.skip("the monkeypox data set is not here")
    return scan(root)


# ---------------------------------------------------------------- manifests and splits


def drawn(seed: int, size: tuple[int, int] = (60, 45)) -> Image.Image:
    """Draw soft patches of random colours, alike in no orientation."""
    patches = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


def divided(
    root: Path, sources: Sources = NO_TABLES, *, found: Scan | None = None, **chosen: object
) -> FolderSplit:
    """Split a folder by settings that are given by name."""
    found = found or scan(root)
    settings = SplitSettings.model_validate(chosen)
    return split_folder(root, found.manifest, found.hashes, settings, sources, workers=2)


def told(split: FolderSplit) -> str:
    return describe_split(split.split, split.leakage)


def table(paths: list[str], same: dict[str, str] | None = None) -> pd.DataFrame:
    """Make the columns of a manifest that a split reads; `same` names files of equal bytes."""
    same = same or {}
    return pd.DataFrame(
        {
            "path": paths,
            "label": [path.split("/")[0] for path in paths],
            "sha256": [same.get(path, path) for path in paths],
        }
    )


def msld(patients: int, photographs: int = 1, copies: int = 2) -> pd.DataFrame:
    """Two classes, `patients` each, named as in MSLD v1."""
    return table(
        [
            f"{label}/{letter}{patient:02d}_{photograph:02d}_{copy:02d}.jpg"
            for label, letter in (("Macular", "M"), ("Pustular", "P"))
            for patient in range(1, patients + 1)
            for photograph in range(1, photographs + 1)
            for copy in range(copies + 1)
        ]
    )


def prepared(
    manifest: pd.DataFrame,
    settings: SplitSettings | None = None,
    groups: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Read the names and join groups, with no near-duplicate found."""
    pattern = settings.group_pattern if settings else None
    return join(find_groups(manifest, pattern, groups), NOTHING_NEAR)


def split(
    manifest: pd.DataFrame, settings: SplitSettings, earlier: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Draw a split of a manifest in which no near-duplicate was found.

    An earlier one is known by its paths, unless it has a column sha256.
    """
    if earlier is not None and "sha256" not in earlier:
        earlier = earlier.assign(sha256="")
    return draw(prepared(manifest, settings), settings, earlier=earlier)


def plain(per_class: int) -> pd.DataFrame:
    return table([f"{label}/{n:03d} x.jpg" for label in ("a", "b") for n in range(per_class)])


def parts(drawn: pd.DataFrame) -> dict[str, str]:
    return dict(zip(drawn["path"], drawn["split"], strict=True))


def count(drawn: pd.DataFrame, part: str) -> int:
    return int((drawn["split"] == part).sum())


def refused(manifest: pd.DataFrame, **chosen: object) -> str:
    with pytest.raises(InputError) as caught:
        split(manifest, SplitSettings.model_validate(chosen))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_quarantined(tree: Path, name: str, make: Callable[[Path], object], reason: str) -> None:
    """Make a fault among four good pictures: it is the only one set aside, and told truly."""
    make(tree / "cat" / name)
    found = scan(tree)
    shown = name.replace("\n", "\\x0a")
    assert list(reasons(found)) == [f"cat/{shown}"]
    assert reason in reasons(found)[f"cat/{shown}"]
    assert len(found.manifest) == 4
