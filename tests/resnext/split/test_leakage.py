"""Leakage: counted by hand, set beside a random split, and told in words."""

import re

import pandas as pd

from resnext.split.draw import SplitSettings, split
from resnext.split.leakage import describe_split, leakage, leakage_report
from tests.resnext.samples import msld, plain, table, users_scan


def test_leakage_by_hand() -> None:
    rows = [  # path, same bytes as, group, part
        ("a/A1_1_00.jpg", "", "train"),
        ("a/A1_1_01.jpg", "", "test"),  # copy and group
        ("a/A1_2_00.jpg", "", "test"),  # group alone
        ("a/A2_1_00.jpg", "", "train"),
        ("b/B1_1_00.jpg", "a/A2_1_00.jpg", "test"),  # exact; the groups are as given
        ("b/B2_1_00.jpg", "", "test"),  # nothing
        ("b/B2_1_01.jpg", "", "unused"),
        ("b/B3_1_00.jpg", "", "val"),
        ("b/B3_1_01.jpg", "", "test"),  # its photograph is in val, not in train
    ]
    paths = [path for path, _, _ in rows]
    manifest = table(paths, {path: same for path, same, _ in rows if same})
    given_split = pd.DataFrame(
        {
            "path": paths,
            "group": [path[2:4] for path in paths],
            "split": [part for *_, part in rows],
        }
    )
    assert leakage(manifest, given_split) == {
        "test_pictures": 5,
        "copy": {"count": 1, "share": 0.2},
        "exact": {"count": 1, "share": 0.2},
        "group": {"count": 2, "share": 0.4},
        "any": {"count": 3, "share": 0.6},
    }


def test_leakage_of_no_test_picture_has_no_share() -> None:
    manifest = msld(3)
    drawn = split(manifest, SplitSettings()).assign(split="train")
    assert leakage(manifest, drawn)["any"] == {"count": 0, "share": None}


def test_the_report_sets_the_random_split_beside() -> None:
    manifest = msld(10, photographs=2, copies=5)
    chosen = SplitSettings(seed=3)
    report = leakage_report(manifest, chosen, split(manifest, chosen))
    assert report["strategy"] == "grouped"
    assert report["scheme"] == {
        "name": "patient_photograph_copy (MSLD v1)",
        "fits": 240,
        "names": 240,
        "ids": 20,
        "groups": 20,
    }
    assert report["drawn"]["any"]["count"] == 0
    plainly = SplitSettings(strategy="random", shares=(80, 0, 20), seed=3)
    assert report["random"] == leakage(manifest, split(manifest, plainly))
    assert report["random"]["copy"]["share"] > 0.9


# ---------------------------------------------------------------- words


def test_the_description_names_scheme_parts_and_what_random_would_leak() -> None:
    manifest = msld(10)
    drawn = split(manifest, SplitSettings())
    lines = describe_split(drawn, leakage_report(manifest, SplitSettings(), drawn)).split("\n")
    assert lines[0] == (
        "Groups: patient_photograph_copy (MSLD v1) fits 60 of 60 names; 20 ids, 20 groups after "
        "identical files joined them"
    )
    assert lines[1] == (
        "train: 42 pictures (14 photographs) of 14 groups; pictures (groups) by class: "
        "Macular 21 (7), Pustular 21 (7)"
    )
    assert lines[4] == "unused: 12 pictures: 12 (copy of a held-out photograph)"
    assert lines[5].startswith("No test picture has a relative in train. Of the ")


def test_a_leak_is_warned_of() -> None:
    manifest = msld(10)
    chosen = SplitSettings(strategy="random")
    drawn = split(manifest, chosen)
    last = describe_split(drawn, leakage_report(manifest, chosen, drawn)).split("\n")[-1]
    assert re.fullmatch(
        r"WARNING: the score will be too good\. Of 12 test pictures, \d+ \(\d+\.\d%\) have a copy "
        r"of the same photograph, \d+ \(\d+\.\d%\) have the same group in train\. .*",
        last,
    )


def test_a_label_conflict_is_warned_of_by_name() -> None:
    manifest = msld(8)
    pair = ["Macular/M03_01_00.jpg", "Pustular/P05_01_00.jpg"]
    manifest.loc[manifest["path"].isin(pair), "sha256"] = "x"
    drawn = split(manifest, SplitSettings())
    text = describe_split(drawn, leakage_report(manifest, SplitSettings(), drawn))
    assert "WARNING: 2 pictures stand under two classes and are left out: " + pair[0] in text


def test_no_scheme_is_said() -> None:
    manifest = plain(10)
    drawn = split(manifest, SplitSettings())
    text = describe_split(drawn, leakage_report(manifest, SplitSettings(), drawn))
    assert text.startswith("Groups: no naming scheme fits 95 % of 20 names, so every picture is ")
    assert text.endswith("nor would in a random split")


# ---------------------------------------------------------------- the real thing


def test_the_users_random_split_leaks_nearly_everywhere() -> None:
    real = users_scan().manifest
    chosen = SplitSettings()
    report = leakage_report(real, chosen, split(real, chosen))
    assert report["drawn"]["any"]["count"] == 0
    assert report["random"]["test_pictures"] == 429
    assert report["random"]["copy"]["share"] > 0.99
