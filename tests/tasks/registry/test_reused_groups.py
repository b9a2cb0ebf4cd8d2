"""How often a test part has served: by the bytes of its pictures, whatever they are called."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from tasks.registry.reused_groups import use_of
from tasks.registry.versions import Version, version_folder, write

Groups = Mapping[str, Sequence[str]]
FOUR: Groups = {"g1": ["s1", "s2"], "g2": ["s3"], "g3": ["s4"], "g4": ["s5"]}
OTHERS: Groups = {"g1": ["s11"], "g2": ["s12"], "g3": ["s13"]}


def tables(folder: Path, tested: Groups, prefix: str = "") -> tuple[Path, Path]:
    """Write split.csv and manifest.csv of a test part, group by group the bytes of its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    known = [("t.png", "t", "s99", "train")] + [
        (f"{prefix}{content}.png", name, content, "test")
        for name, each in tested.items()
        for content in each
    ]
    table = pd.DataFrame(known, columns=["path", "group", "sha256", "split"])
    split = table.drop(columns="sha256").assign(label="a", reason="", copy=0)
    split.to_csv(folder / "split.csv", index=False)
    manifest = table.drop(columns=["group", "split"]).assign(
        label="a", phash="0", mode="RGB", format="PNG", bytes=1, width=1, height=1, orientation=1
    )
    manifest.to_csv(folder / "manifest.csv", index=False)
    return folder / "split.csv", folder / "manifest.csv"


def decided(
    store: Path, tested: Groups, verdict: str = "undecided", against: int | None = 1
) -> None:
    """Register a model that was judged on a test part."""
    number = 1 + len(list((store / "registry").glob("[0-9]*")))
    version = Version(
        data="d", architecture="a", classes=("a", "b"), score="", decision="", basis="", run="r",
        verdict=verdict, against=against, number=number, created="", weights="",
    )  # fmt: skip
    tables(version_folder(store, number), tested)
    write(version_folder(store, number) / "version.json", version)


def use(store: Path, tested: Groups, prefix: str = "") -> int:
    return use_of(store, *tables(store / "today", tested, prefix))


def test_each_decision_on_the_same_test_groups_counts_and_renaming_changes_nothing(
    tmp_path: Path,
) -> None:
    assert use(tmp_path, FOUR) == 1
    for expected in (2, 3, 4):
        decided(tmp_path, FOUR)
        assert use(tmp_path, FOUR) == use(tmp_path, FOUR, "renamed/") == expected


def test_new_groups_begin_anew_and_a_few_of_them_do_not_begin_everything_anew(
    tmp_path: Path,
) -> None:
    for _ in range(4):
        decided(tmp_path, FOUR)
    assert use(tmp_path, OTHERS) == 1
    assert use(tmp_path, {**FOUR, "new": ["s6"]}) == 4  # 1 + 4 * 4/5, rounded
    doubled = {**FOUR, **{f"new{n}": [f"s2{n}"] for n in range(4)}}
    assert use(tmp_path, doubled) == 3  # 1 + 4 * 4/8


def test_a_group_that_got_another_picture_is_the_same_group(tmp_path: Path) -> None:
    decided(tmp_path, FOUR)
    grown = {name: [*each, f"{name}-new"] for name, each in FOUR.items()}
    assert use(tmp_path, grown) == 2


@pytest.mark.parametrize(
    ("verdict", "against", "expected"),
    [
        ("better", 1, 2), ("worse", 1, 2), ("undefined", 1, 2), ("better", None, 1),
        ("classes changed", 1, 1), ("not compared", 1, 1), ("", None, 1),
    ],
)  # fmt: skip
def test_what_could_have_made_a_challenger_champion_is_counted_and_nothing_else(
    tmp_path: Path, verdict: str, against: int | None, expected: int
) -> None:
    decided(tmp_path, FOUR, verdict, against)
    assert use(tmp_path, FOUR) == expected


@pytest.mark.parametrize("name", ["split.csv", "manifest.csv"])
@pytest.mark.parametrize("content", [None, b"", b"no,table\n1,2\n", b"\xff\xfe\x00"])
def test_a_decision_whose_test_part_is_lost_counts_wholly(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    decided(tmp_path, OTHERS)
    assert use(tmp_path, FOUR) == 1
    (version,) = (tmp_path / "registry").glob("[0-9]*")
    (version / name).unlink()
    if content is not None:
        (version / name).write_bytes(content)
    assert use(tmp_path, FOUR) == 2
