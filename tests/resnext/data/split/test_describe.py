"""A split told in words: the sentences by hand, and what is warned of."""

import re
from typing import Any

import pandas as pd
import pytest

from resnext.data.split.describe import describe_split, evidence_of, split_warnings
from resnext.data.split.groups import find_groups
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import msld, plain, prepared, split, table

KINDS = ("copy", "exact", "near", "group", "any")
V1 = "patient_photograph_copy"
V1_WORDS = "the form P01_02_03 (patient, photograph, copy)"


def leaks(part: str, pictures: int, **counts: int) -> dict[str, Any]:
    """Lay out counts of leaks; `any` is the largest of them."""
    counts["any"] = max(counts.values(), default=0)
    return {f"{part}_pictures": pictures} | {
        kind: {
            "count": counts.get(kind, 0),
            "share": counts.get(kind, 0) / pictures if pictures else None,
        }
        for kind in KINDS
    }


def report(**changed: Any) -> dict[str, Any]:
    """Lay out a leakage.json of 20 patients in which nothing leaks."""
    scheme = {
        "name": V1,
        "evidence": f"{V1_WORDS} fits 60 of 60 names",
        "listed": 0,
        "groups_known": True,
    }
    return {
        "strategy": "grouped",
        "scheme": scheme | {"ids": 20, "groups": 20, "joined": [], "decided": False},
        "near": {"joined_pairs": 0, "listed_pairs": 0},
        "largest_group": {"name": "M01", "photographs": 1, "share": 0.05},
        "drawn": leaks("test", 4),
        "drawn_val": None,
        "drawn_test_val": None,
        "random": leaks("test", 12),
        "warnings": [],
    } | changed


def lines(drawn: pd.DataFrame, /, **changed: Any) -> list[str]:
    return describe_split(drawn, report(**changed)).split("\n")


# ---------------------------------------------------------------- what the groups stand on


MANY = table([f"a/P{number:04d}_01_00.jpg" for number in range(1, 1991)] + ["b/other.jpg"])
NONE = "no naming scheme fits 95 % of 12 names, so every image is a group of its own"


@pytest.mark.parametrize(
    ("manifest", "pattern", "groups", "evidence"),
    [
        (MANY, None, [], f"{V1_WORDS} fits 1,990 of 1,991 names"),
        (plain(6), None, [], NONE),
        (plain(6), r"(?P<group>a/\d+)", [], r"--group-pattern (?P<group>a/\d+) fits 6 of 12 names"),
        (
            plain(6), None, ["a/000 x.jpg", "b/001 x.jpg", "c/gone.jpg"],
            f"--groups names the group of 2 of 12 images; else {NONE}",
        ),
        (
            msld(3), None, ["Macular/M01_01_00.jpg"],
            f"--groups names the group of 1 of 18 images; else {V1_WORDS} fits 18 of 18 names",
        ),
    ],
)  # fmt: skip
def test_the_evidence_of_groups_is_said(
    manifest: pd.DataFrame, pattern: str | None, groups: list[str], evidence: str
) -> None:
    assert evidence_of(find_groups(manifest, pattern, dict.fromkeys(groups, "ann"))) == evidence


# ---------------------------------------------------------------- whole descriptions


def test_a_grouped_split_by_hand() -> None:
    drawn = split(msld(10), SplitSettings())
    assert lines(drawn, random=leaks("test", 12, copy=11, group=11)) == [
        f"Groups: {V1_WORDS} fits 60 of 60 names",
        "20 ids make 20 groups: no id was joined to another by a shared original, an identical "
        "file or a near-duplicate",
        "images (groups)    train    val   test",
        "Macular           21 (7)  1 (1)  2 (2)",
        "Pustular          21 (7)  1 (1)  2 (2)",
        "all              42 (14)  2 (2)  4 (4)",
        "originals        14 (14)  2 (2)  4 (4)",
        "unused: 12 images (copy of a held-out photograph)",
        "No test image has a relative in train. Of the 12 test images of a random split, "
        "11 (91.7 %) have a copy of the same original, 11 (91.7 %) have the same group in train",
    ]


def test_a_random_split_is_warned_of_last() -> None:
    drawn = split(msld(10), SplitSettings(strategy="random", shares=(80, 0, 20)))
    found = lines(
        drawn,
        drawn=leaks("test", 12, copy=11, exact=1, near=2, group=12),
        warnings=["group M01 is large"],
    )
    assert [line.split()[0] for line in found] == [
        "Groups:", "20", "images", "Macular", "Pustular", "all", "originals", "WARNING:",
        "WARNING:",
    ]  # fmt: skip
    assert found[-2] == "WARNING: group M01 is large"
    assert found[-1] == (
        "WARNING: the score will be too good. Of 12 test images, 11 (91.7 %) have a copy of the "
        "same original, 1 (8.3 %) have an identical file, 2 (16.7 %) have a near-duplicate, "
        "12 (100.0 %) have the same group in train. Only --split grouped keeps them apart"
    )


def test_without_a_scheme_the_remedy_is_said_and_nobody_says_that_nothing_leaks() -> None:
    evidence = "no naming scheme fits 95 % of 20 names, so every image is a group of its own"
    scheme: dict[str, Any] = {"name": None, "evidence": evidence, "listed": 0}
    scheme |= {"ids": 20, "groups": 19}
    scheme |= {"groups_known": False, "joined": ["a/1.png=a/2.png"], "decided": True}
    found = lines(split(plain(10), SplitSettings()), scheme=scheme)
    assert found[:2] == [
        f"Groups: {evidence}. If names tell patients, say how with --group-pattern, or list them "
        "with --groups",
        "20 ids make 19 groups: 1 id was joined to another by a shared original, an identical "
        "file, a near-duplicate or a person's decision (a/1.png=a/2.png)",
    ]
    assert not any("relative in train" in line for line in found)


def test_pairs_that_only_look_alike_are_said_where_there_are_some() -> None:
    drawn = split(msld(10), SplitSettings())
    found = lines(drawn, near={"joined_pairs": 1, "listed_pairs": 1_200})
    assert found[2] == (
        "1,200 pairs look alike but were not joined: near.csv and the report list them for you to "
        "judge"
    )


def test_of_folds_it_is_said_what_train_and_val_are_for() -> None:
    drawn = split(msld(10), SplitSettings())
    found = lines(drawn.assign(fold=1))
    assert found[2].split() == ["images", "(groups)", "train", "val", "test", "in", "a", "fold"]
    assert found[7].endswith("for a model that is trained on all folds (--final everything)")


def test_many_classes_are_cut_after_twenty() -> None:
    paths = [f"c{label:02d}/{n}.jpg" for label in range(23) for n in range(3)]
    found = lines(split(table(paths), SplitSettings()))
    more = found.index("and 3 more")
    assert found[more - 1].startswith("c19 ")
    assert len({line.split()[0] for line in found if re.match(r"c\d\d ", line)}) == 20


def test_unused_pictures_are_counted_by_reason_without_names() -> None:
    drawn = split(msld(10), SplitSettings())
    drawn.loc[drawn.index[:3], "split"] = "unused"
    drawn.loc[drawn.index[0], "reason"] = "label conflict: identical to b/1"
    drawn.loc[drawn.index[1], "reason"] = "label conflict: nearly identical to b/2"
    drawn.loc[drawn.index[2], "reason"] = "not in the given split"
    (line,) = [line for line in lines(drawn) if line.startswith("unused")]
    assert "2 images (label conflict)" in line
    assert "1 image (not in the given split)" in line
    assert "b/1" not in line


def test_validation_pictures_that_leak_are_warned_of_before_the_test_pictures() -> None:
    drawn = split(msld(10), SplitSettings(strategy="random"))
    found = lines(
        drawn, drawn=leaks("test", 12, group=6), drawn_val=leaks("val", 8, copy=2, group=4)
    )
    assert found[-2] == (
        "WARNING: of 8 val images, 2 (25.0 %) have a copy of the same original, 4 (50.0 %) have "
        "the same group in train"
    )
    assert found[-1].startswith(
        "WARNING: the score will be too good. Of 12 test images, 6 (50.0 %)"
    )
    assert "WARNING" not in "".join(lines(drawn, drawn_val=leaks("val", 8)))


# ---------------------------------------------------------------- what else is warned of


def in_both_parts(pictures: pd.DataFrame) -> pd.DataFrame:
    """Put the first picture of each class into test, the others into train."""
    first = ~pictures["label"].duplicated()
    part = first.map({True: "test", False: "train"})
    return pictures[["path", "label"]].assign(split=part, reason="")


def warned(
    pictures: pd.DataFrame | None = None,
    tables: dict[str, list[str]] | None = None,
    **group: Any,
) -> list[str]:
    pictures = prepared(msld(10)) if pictures is None else pictures
    drawn = in_both_parts(pictures)
    largest = {"name": "M01", "photographs": 1, "share": 0.05} | group
    return list(split_warnings(pictures, drawn, report(largest_group=largest), tables or {}))


def test_of_a_good_split_nothing_is_warned() -> None:
    assert warned(tables={"--groups": [], "--use-split": []}) == []
    assert warned(tables={"--groups": ["Macular/M01_01_00.jpg"]}) == []


@pytest.mark.parametrize(
    ("photographs", "total", "percent"),
    [(3, 20, "15 %"), (11, 100, "11 %"), (1_200, 2_000, "60 %"),
     (2, 20, ""), (10, 100, ""), (19, 19, ""), (3, 19, "")],
)  # fmt: skip
def test_a_group_of_more_than_a_tenth_of_many_is_warned_of(
    photographs: int, total: int, percent: str
) -> None:
    expected = (
        f"group M01 holds {photographs:,} of {total:,} originals ({percent}): if these do "
        "not belong together, correct it with --groups"
    )
    share = photographs / total
    assert warned(photographs=photographs, share=share) == ([expected] if percent else [])


def test_paths_of_a_table_that_are_not_there_are_named_at_most_five() -> None:
    gone = [f"a/{number}.jpg" for number in range(7)]
    here = ["Macular/M01_01_00.jpg"]
    assert warned(tables={"--groups": gone[:1] + here, "--use-split": gone}) == [
        "1 of 2 paths of --groups are not in the folder: a/0.jpg",
        "7 of 7 paths of --use-split are not in the folder: a/0.jpg; a/1.jpg; a/2.jpg; a/3.jpg; "
        "a/4.jpg and 2 more",
    ]


def conflicting(count: int) -> pd.DataFrame:
    """Let the first pictures be each in conflict with a picture of another class."""
    pictures = prepared(msld(10))
    for number in range(count):
        pictures.loc[number, "conflict"] = f"label conflict: identical to b/{number}"
    return pictures


def test_of_many_pictures_under_two_classes_five_are_named_then_the_total() -> None:
    assert warned(conflicting(5))[0].count("identical to") == 5
    assert " more" not in warned(conflicting(5))[0]
    (said,) = warned(conflicting(6))
    assert said.startswith("6 images stand under two classes: ")
    assert said.count("identical to") == 5
    assert said.endswith("(identical to b/4) and 1 more")
