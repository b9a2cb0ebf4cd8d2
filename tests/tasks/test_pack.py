from pathlib import Path

import numpy as np

from tasks.pack import open_pixels, pack
from tasks.scan import scan
from tasks.stage.artifact import Runtime


def test_a_picture_that_is_renamed_or_relabelled_is_not_decoded_again(
    runtime: Runtime, tree: Path
) -> None:
    first = pack.fn(runtime, scan.fn(runtime), 32)
    one = next((tree / "Blue").iterdir())
    one.rename(tree / "Red" / "renamed.png")
    assert pack.fn(runtime, scan.fn(runtime), 32) == first


def test_another_size_or_picture_is_packed_anew(runtime: Runtime, tree: Path) -> None:
    first = pack.fn(runtime, scan.fn(runtime), 32)
    assert pack.fn(runtime, scan.fn(runtime), 48).key != first.key
    next((tree / "Blue").iterdir()).unlink()
    again = pack.fn(runtime, scan.fn(runtime), 32)
    assert again.key != first.key
    assert len(open_pixels(again).pixels) == 23


def test_there_is_a_row_for_each_different_file(runtime: Runtime, tree: Path) -> None:
    source = next((tree / "Blue").iterdir())
    (tree / "Blue" / "again.png").write_bytes(source.read_bytes())
    packed = open_pixels(pack.fn(runtime, scan.fn(runtime), 32))
    assert packed.pixels.shape == (24, 32, 32, 3)
    assert packed.pixels.dtype == np.uint8
    assert list(packed.row_of) == sorted(packed.row_of)
