"""Leakage: counted by hand, and set beside a random split."""

import pandas as pd

from resnext.data.split.leakage import count_leaks, script_split
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import msld, prepared, split, table, users_scan


def test_leakage_by_hand() -> None:
    rows = [  # path, same bytes as, group, what it looks like, part
        ("a/A1_1_00.jpg", "", "A1", "", "train"),
        ("a/A1_1_01.jpg", "", "A1", "", "test"),  # copy and group
        ("a/A1_2_00.jpg", "", "A1", "", "test"),  # group alone
        ("a/A2_1_00.jpg", "", "A2", "x", "train"),
        ("b/B1_1_00.jpg", "a/A2_1_00.jpg", "B1", "x", "test"),  # exact, and so not near
        ("b/B2_1_00.jpg", "", "B2", "", "test"),  # nothing
        ("b/B2_1_01.jpg", "", "B2", "", "unused"),
        ("b/B3_1_00.jpg", "", "B3", "y", "val"),
        ("b/B3_1_01.jpg", "", "B3", "", "test"),  # its photograph is in val, not in train
        ("b/B4_1_00.jpg", "", "B4", "x", "test"),  # near, by two files of equal bytes
    ]
    paths = [path for path, *_ in rows]
    pictures = table(paths, {path: same for path, same, *_ in rows if same}).assign(
        group=[group for _, _, group, _, _ in rows],
        look=[look for *_, look, _ in rows],
        photograph=[path[:-7] for path in paths],
    )
    drawn = pd.DataFrame({"path": paths, "split": [part for *_, part in rows]})
    assert count_leaks(pictures, drawn) == {
        "test_pictures": 6,
        "copy": {"count": 1, "share": 1 / 6},
        "exact": {"count": 1, "share": 1 / 6},
        "near": {"count": 1, "share": 1 / 6},
        "group": {"count": 2, "share": 1 / 3},
        "any": {"count": 4, "share": 2 / 3},
    }
    assert count_leaks(pictures, drawn, "test", "val")["group"]["count"] == 1
    assert count_leaks(pictures, drawn, "val")["val_pictures"] == 1


def test_leakage_of_no_test_picture_has_no_share() -> None:
    manifest = msld(3)
    drawn = split(manifest, SplitSettings()).assign(split="train")
    assert count_leaks(prepared(manifest), drawn)["any"] == {"count": 0, "share": None}


def test_a_scripts_random_split_holds_no_picture_back_for_choosing() -> None:
    pictures = prepared(msld(10, photographs=2, copies=5))
    drawn = script_split(pictures, SplitSettings(seed=3))
    assert drawn["split"].value_counts().to_dict() == {"train": 192, "test": 48}
    assert count_leaks(pictures, drawn)["copy"]["share"] > 0.9


def test_the_users_random_split_leaks_nearly_everywhere() -> None:
    real = users_scan().manifest
    pictures = prepared(real)
    assert count_leaks(pictures, split(real, SplitSettings()))["any"]["count"] == 0
    random = count_leaks(pictures, script_split(pictures, SplitSettings()))
    assert random["test_pictures"] == 429
    assert random["copy"]["share"] > 0.99
