import time
from typing import Any

import pandas as pd

from resnext.data.split.duplicates import CONFLICT
from resnext.planning.facts import Facts, Surroundings, count_facts

CPU = Surroundings(device="cpu", cores=2, network="tf_efficientnet_lite2", network_size=260)
GPU = CPU.model_copy(update={"device": "cuda", "cores": 16, "gpu_memory": 24 * 2**30})
LEAKAGE: dict[str, Any] = {
    "strategy": "grouped",
    "near": {"joined_pairs": 0},
    "scheme": {"groups_known": True},
}


def tables(
    groups: dict[str, int], each: int = 1, copies: int = 0, side: int = 640
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the tables of a set: so many groups a class, images a group, copies an image."""
    rows = [
        (label, f"{label}{group}", f"{label}{group}_{image}_{copy}.png", copy)
        for label, count in groups.items()
        for group in range(count)
        for image in range(each)
        for copy in range(copies + 1)
    ]
    split = pd.DataFrame(rows, columns=["label", "group", "path", "copy"])
    split = split.assign(split="train", reason="")
    manifest = split[["path"]].assign(sha256=split["path"], width=side, height=side + 100)
    return manifest, split


def facts(
    groups: dict[str, int], each: int = 1, copies: int = 0, side: int = 640,
    surroundings: Surroundings = CPU, **asked: str | int,
) -> Facts:  # fmt: skip
    given = surroundings.model_copy(update={"asked": tuple(asked.items())})
    return count_facts(*tables(groups, each, copies, side), LEAKAGE, given)


def test_originals_and_groups_are_counted_apart_from_stored_copies() -> None:
    found = facts({"a": 5, "b": 2}, each=3, copies=13)
    assert (found.images, found.copies, found.classes) == (7 * 3 * 14, 7 * 3 * 13, 2)
    assert (found.originals, found.groups) == (21, 7)
    assert (found.smallest, found.smallest_groups) == ("b", 2)
    assert (found.rarest, found.rarest_originals) == ("b", 6)
    assert (found.commonest, found.commonest_originals, found.imbalance) == ("a", 15, 2.5)
    assert found.side == 640, "the shorter side"


def test_the_class_with_the_fewest_groups_need_not_be_the_one_with_the_fewest_originals() -> None:
    manifest, split = (
        pd.concat(pair, ignore_index=True)
        for pair in zip(tables({"a": 2}, each=10), tables({"b": 5}), strict=True)
    )
    found = count_facts(manifest, split, LEAKAGE, CPU)
    assert (found.smallest, found.rarest, found.commonest) == ("a", "b", "a")


def test_identical_files_and_label_conflicts_count_once_and_not_at_all() -> None:
    manifest, split = tables({"a": 5, "b": 5})
    manifest["sha256"] = manifest["sha256"].replace("a1_0_0.png", "a0_0_0.png")
    conflict = split["path"] == "a2_0_0.png"
    split["reason"] = split["reason"].mask(conflict, f"{CONFLICT}: the same file is in b")
    leakage = LEAKAGE | {"near": {"searched": False}}
    found = count_facts(manifest, split, leakage, CPU)
    assert (found.images, found.identical, found.originals) == (10, 1, 8)
    assert (found.smallest, found.smallest_groups, found.near) == ("a", 3, 0)


def test_a_class_that_holds_copies_alone_is_not_left_out() -> None:
    manifest, split = tables({"a": 5, "b": 5})
    split.loc[split["label"] == "a", "copy"] = 1
    found = count_facts(manifest, split, LEAKAGE, CPU)
    assert (found.classes, found.originals, found.copies) == (2, 10, 5)


def test_eight_thousand_images_are_counted_at_once() -> None:
    given = tables({"a": 4000, "b": 4000})
    start = time.perf_counter()
    assert count_facts(*given, LEAKAGE, CPU).originals == 8000
    assert time.perf_counter() - start < 2
