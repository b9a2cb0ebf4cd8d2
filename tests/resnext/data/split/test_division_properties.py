"""What a division holds: documented keys, copies held out, tables, and the order of the rows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.contracts.tables import write_table
from resnext.data.manifest.scan import Scan, scan
from resnext.data.split.division import Division, divide
from resnext.data.split.groups import SCHEMES
from resnext.data.split.settings import SplitSettings
from resnext.data.split.told import Sources
from tests.resnext.data.samples import save

KINDS = ["copy", "exact", "near", "group", "any"]


def drawing(seed: int, side: int = 64) -> Image.Image:
    """Draw soft patches of random colours, alike in no orientation."""
    patches = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)


def augmented(image: Image.Image, copy: int) -> Image.Image:
    """Mirror an image and lay some of another one over it: alike, but no near-duplicate."""
    other = drawing(9000 + copy).transpose(Image.Transpose.ROTATE_90)
    return Image.blend(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), other, 0.2 + 0.03 * copy)


def patients(root: Path, each: int = 6, copies: int = 1) -> Path:
    """Two classes of patients with one photograph each; copies are no near-duplicates of it."""
    for first, label in ((100, "A"), (200, "B")):
        for patient in range(1, each + 1):
            for copy in range(copies + 1):
                image = drawing(first + patient)
                image = augmented(image, copy) if copy else image
                save(root / label / f"{label}{patient:02d}_01_{copy:02d}.png", image)
    return root


def divided(
    root: Path, settings: SplitSettings | None = None, found: Scan | None = None, **sources: Path
) -> Division:
    found = found or scan(root)
    chosen = settings or SplitSettings()
    return divide(root, found.manifest, found.words, chosen, Sources(**sources), workers=2)


def crossing(counts: Mapping[str, Any]) -> dict[str, int]:
    return {kind: counts[kind]["count"] for kind in KINDS}


def test_the_order_of_the_rows_never_shows(tmp_path: Path) -> None:
    root = patients(tmp_path / "data")
    for label, patient, seed in (("A", 5, 102), ("A", 6, 102), ("B", 4, 201), ("B", 5, 103)):
        save(root / label / f"{label}{patient:02d}_01_00.png", drawing(seed, 90))
    save(root / "A" / "Ä07_01_00.png", drawing(900))
    found = scan(root)

    def written(rows: list[int]) -> tuple[bytes | str, ...]:
        mixed = found.manifest.iloc[rows], found.words[rows]
        done = divide(root, *mixed, SplitSettings(seed=3), workers=2)
        write_table(done.split, tmp_path / "split.csv")
        write_table(done.pairs, tmp_path / "near.csv")
        tables = [(tmp_path / f"{name}.csv").read_bytes() for name in ("split", "near")]
        return *tables, json.dumps(done.leakage), json.dumps(done.cards)

    expected = written(list(range(len(found.manifest))))
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(found.manifest)).tolist()
        assert written(order) == expected


def test_copies_are_held_out_only_where_that_is_asked_for(tmp_path: Path) -> None:
    patients(tmp_path, copies=2)
    plain, with_copies = (
        divided(tmp_path, SplitSettings(hold_out_copies=chosen)).split for chosen in (False, True)
    )
    assert set(plain[plain["split"].isin(["val", "test"])]["copy"]) == {0}
    assert set(with_copies[with_copies["split"] == "test"]["copy"]) == {0, 1, 2}
    assert "unused" not in set(with_copies["split"])


def test_leakage_says_all_that_is_documented(tmp_path: Path) -> None:
    patients(tmp_path)
    save(tmp_path / "A" / "A05_01_00.png", drawing(102, 90))
    found = divided(tmp_path).leakage
    assert list(found) == [
        "strategy", "fold", "scheme", "near", "largest_group", "drawn", "drawn_val",
        "drawn_test_val", "random", "warnings",
    ]  # fmt: skip
    assert (found["strategy"], found["fold"], found["warnings"]) == ("grouped", None, [])
    assert found["scheme"] == {
        "name": "patient_photograph_copy (MSLD v1)",
        "evidence": "patient_photograph_copy (MSLD v1) fits 24 of 24 names",
        "pattern": SCHEMES[0].pattern, "proposal": None, "guessed": False, "groups_known": True,
        "fits": 24, "listed": 0, "unknown": 0, "names": 24, "ids": 12, "groups": 11,
    }  # fmt: skip
    assert found["near"] == {"joined_pairs": 1, "listed_pairs": 0}
    assert found["largest_group"] == {"name": "A02=A05", "photographs": 2, "share": 2 / 12}
    for key, part in (("drawn", "test"), ("drawn_val", "val"), ("drawn_test_val", "test")):
        assert list(found[key]) == [f"{part}_pictures", *KINDS]
        assert set(crossing(found[key]).values()) == {0}
    assert found["random"]["test_pictures"] == 5  # 24 - int(0.8 * 24)
    assert json.loads(json.dumps(found)) == found


def test_without_val_nothing_is_said_of_it_and_a_fold_is_named(tmp_path: Path) -> None:
    found = divided(patients(tmp_path), SplitSettings(shares=(80, 0, 20), fold=(2, 3))).leakage
    assert (found["drawn_val"], found["drawn_test_val"], found["fold"]) == (None, None, "2/3")
    assert found["drawn"]["test_pictures"] == 4


def test_a_split_of_a_table_is_used_as_it_is(tmp_path: Path) -> None:
    patients(tmp_path / "data", copies=0)
    chosen = {"A/A01_01_00.png": "test", "B/B01_01_00.png": "test", "gone.png": "train"}
    chosen |= {f"{label}/{label}0{n}_01_00.png": "train" for label in "AB" for n in range(2, 6)}
    table = tmp_path / "mine.csv"
    write_table(pd.DataFrame({"path": list(chosen), "split": list(chosen.values())}), table)
    done = divided(tmp_path / "data", SplitSettings(strategy="given"), given=table)
    used = done.split[done.split["split"] != "unused"]
    parts = dict(zip(used["path"], used["split"], strict=True))
    assert parts | {"gone.png": "train"} == chosen
    guess, *warnings = done.leakage["warnings"]
    assert guess.startswith("the groups are only guessed, by patient_photograph_copy (MSLD v1)")
    assert warnings == [
        "1 of 11 paths of --use-split are not in the folder: gone.png",
        "2 pictures are in no part of the given split: A/A06_01_00.png; B/B06_01_00.png",
    ]


def test_a_picture_that_changed_since_the_scan_ends_the_division(tmp_path: Path) -> None:
    patients(tmp_path)
    save(tmp_path / "A" / "A05_01_00.png", drawing(102, 90))
    found = scan(tmp_path)
    save(tmp_path / "A" / "A05_01_00.png", drawing(999))
    with pytest.raises(InputError, match="must be as it was scanned, got other bytes"):
        divided(tmp_path, found=found)
