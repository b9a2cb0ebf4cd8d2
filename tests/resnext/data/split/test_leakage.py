"""What leaks, counted by hand; the pairs that a person should see, and their thumbnails."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from resnext.contracts.errors import InputError
from resnext.data.split.draw import script_split
from resnext.data.split.duplicates import COLUMNS
from resnext.data.split.leakage import (
    EACH,
    MOST,
    SIDE,
    WORST,
    Cards,
    count_leaks,
    pairs_to_look_at,
)
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import msld, picture, prepared, save, split, table, users_scan

NO_PAIR = pd.DataFrame(columns=COLUMNS)
BEGIN = "data:image/jpeg;base64,"


class Folder:
    """Pictures by path with what is known of them, and the parts they are in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, str]] = []

    def add(self, path: str, part: str, image: Image.Image | None = None, /, **known: str) -> None:
        """Save a picture; its group, photograph and look are its own where none is named."""
        drawn = image or picture(60, 40, seed=len(self.rows))
        data = save(self.root / path, drawn).read_bytes()
        row = {"path": path, "label": path.split("/")[0], "split": part}
        row |= {"group": path, "original": path, "cluster": ""}
        self.rows.append(row | {"sha256": hashlib.sha256(data).hexdigest()} | known)

    def cards(self, pairs: pd.DataFrame = NO_PAIR, random: dict[str, str] | None = None) -> Cards:
        rows = pd.DataFrame(self.rows)
        parts = [(random or {}).get(path, "train") for path in rows["path"]]
        return pairs_to_look_at(
            self.root,
            rows.drop(columns="split"),
            pairs,
            rows[["path", "split"]],
            rows[["path"]].assign(split=parts),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def shown(cards: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(card["kind"], card["path"], card["other"]) for card in cards]


def near_pairs(*rows: tuple[str, str, float, str]) -> pd.DataFrame:
    """Lay out near-duplicates: path, other, correlation, verdict."""
    found = table([path for path, *_ in rows]).drop(columns="sha256")
    return found.assign(
        other=[other for _, other, *_ in rows],
        other_label=[other.split("/")[0] for _, other, *_ in rows],
        correlation=[correlation for *_, correlation, _ in rows],
        verdict=[verdict for *_, verdict in rows],
        orientation="turned by 180 degrees",
    )


def one_of_each_kind(folder: Folder) -> None:
    folder.add("a/copy.png", "test", original="p", group="pat")
    folder.add("a/exact.png", "test", picture(seed=90), group="E")
    folder.add("a/group.png", "test", group="G")
    folder.add("a/near.png", "test", cluster="n", group="N")
    folder.add("b/copy.png", "train", original="p", group="pat")
    folder.add("b/exact.png", "train", picture(seed=90), group="E")
    folder.add("b/group.png", "train", group="G")
    folder.add("b/near.png", "train", cluster="n", group="N")
    folder.add("b/single.png", "test")


# ---------------------------------------------------------------- what crosses


def test_what_crosses_is_shown_by_kind_the_plainest_first(folder: Folder) -> None:
    one_of_each_kind(folder)
    found = folder.cards()
    assert shown(found["crossing"]) == [
        (kind, f"a/{kind}.png", f"b/{kind}.png") for kind in ("exact", "near", "copy", "group")
    ]
    assert [kind for kind, *_ in shown(found["crossing"])] == list(WORST)


def test_a_card_by_hand(folder: Folder) -> None:
    one_of_each_kind(folder)
    card = folder.cards()["crossing"][1]
    assert {key: value for key, value in card.items() if "picture" not in key} == {
        "kind": "near",
        "path": "a/near.png", "label": "a", "part": "test",
        "other": "b/near.png", "other_label": "b", "other_part": "train",
        "detail": "group N",
    }  # fmt: skip
    assert folder.cards()["crossing"][0]["detail"] == ""


def test_a_held_out_picture_is_shown_once_by_its_plainest_kind(folder: Folder) -> None:
    known = {"original": "p", "cluster": "l", "group": "g"}
    folder.add("a/1.png", "test", picture(seed=90), **known)
    folder.add("a/2.png", "train", picture(seed=90), **known)
    folder.add("a/3.png", "train", **known)
    folder.add("b/4.png", "test", **known)
    assert shown(folder.cards()["crossing"]) == [
        ("exact", "a/1.png", "a/2.png"),
        ("near", "b/4.png", "a/2.png"),
    ]


def test_a_few_of_each_kind_are_shown_and_each_relation_once(folder: Folder) -> None:
    for number in range(EACH + 3):
        folder.add(f"a/{number}0.png", "test", group=f"g{number}")
        folder.add(f"a/{number}1.png", "test", group=f"g{number}")
        folder.add(f"a/{number}2.png", "train", group=f"g{number}")
    assert shown(folder.cards()["crossing"]) == [
        ("group", f"a/{number}0.png", f"a/{number}2.png") for number in range(EACH)
    ]


def test_a_group_is_shown_by_another_photograph_where_there_is_one(folder: Folder) -> None:
    folder.add("a/1.png", "test", group="g")
    folder.add("a/2.png", "train", group="g", original="a/1.png")
    folder.add("a/3.png", "train", group="g")
    copy, *_ = folder.cards()["crossing"]
    assert (copy["kind"], copy["other"]) == ("copy", "a/2.png")
    folder.add("b/1.png", "test", group="h", original="q")
    folder.add("b/2.png", "test", group="h", original="q")
    folder.add("b/3.png", "train", group="h", original="q")
    folder.add("b/4.png", "train", group="h")
    assert ("group", "b/2.png", "b/4.png") in shown(folder.cards()["crossing"])


def test_what_crosses_to_val_is_shown_where_nothing_crosses_to_test(folder: Folder) -> None:
    folder.add("a/1.png", "val", group="g")
    folder.add("a/2.png", "train", group="g")
    folder.add("b/3.png", "test", group="h")
    card, *more = folder.cards()["crossing"]
    assert (card["part"], card["path"], more) == ("val", "a/1.png", [])
    folder.add("b/4.png", "train", group="h")
    assert [card["part"] for card in folder.cards()["crossing"]] == ["test"]


def test_a_random_split_is_shown_only_where_nothing_crosses(folder: Folder) -> None:
    folder.add("a/1.png", "train", group="g")
    folder.add("a/2.png", "train", group="g")
    folder.add("b/3.png", "test")
    random = {"a/1.png": "test"}
    found = folder.cards(random=random)
    assert found["crossing"] == []
    assert shown(found["random"]) == [("group", "a/1.png", "a/2.png")]
    assert found["random"][0]["part"] == "test"
    folder.add("b/4.png", "test", group="g")
    found = folder.cards(random=random)
    assert shown(found["crossing"]) == [("group", "b/4.png", "a/1.png")]
    assert found["random"] == []


# ---------------------------------------------------------------- what looks alike


def test_joined_pairs_of_two_classes_come_first_then_the_least_alike(folder: Folder) -> None:
    for path in ("a/1", "a/2", "a/3", "b/4"):
        folder.add(f"{path}.png", "train")
    found = folder.cards(
        near_pairs(
            ("a/1.png", "a/2.png", 0.99, "joined"),
            ("a/1.png", "a/3.png", 0.96, "joined"),
            ("a/1.png", "b/4.png", 0.995, "joined"),
            ("a/2.png", "a/3.png", 0.9, "listed"),
            ("a/2.png", "b/4.png", 0.85, "listed"),
        )
    )
    assert shown(found["joined"]) == [
        ("near", "a/1.png", "b/4.png"),
        ("near", "a/1.png", "a/3.png"),
        ("near", "a/1.png", "a/2.png"),
    ]
    assert found["joined"][0]["detail"] == "correlation 0.995, turned by 180 degrees"
    assert shown(found["listed"]) == [
        ("weak", "a/2.png", "a/3.png"),
        ("weak", "a/2.png", "b/4.png"),
    ]
    assert {card["other_part"] for card in found["listed"]} == {"train"}


@pytest.mark.parametrize(
    ("verdict", "most"), [("joined", MOST["joined"]), ("listed", MOST["listed"])]
)
def test_no_more_pairs_are_shown_than_a_person_looks_at(
    folder: Folder, verdict: str, most: int
) -> None:
    for number in range(20):
        folder.add(f"a/{number:02d}.png", "train")
    pairs = [("a/00.png", f"a/{number:02d}.png", 0.96, verdict) for number in range(1, 20)]
    assert len(folder.cards(near_pairs(*pairs))[verdict]) == most


def test_nothing_to_show_is_four_empty_lists(folder: Folder) -> None:
    folder.add("a/1.png", "train")
    assert folder.cards() == {"crossing": [], "random": [], "joined": [], "listed": []}


# ---------------------------------------------------------------- thumbnails


def opened(uri: str) -> Image.Image:
    assert uri.startswith(BEGIN)
    image = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(BEGIN), validate=True)))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize(
    ("size", "small"), [((640, 320), (160, 80)), ((30, 400), (12, 160)), ((50, 40), (50, 40))]
)
def test_a_thumbnail_is_a_jpeg_of_at_most_160_px(
    folder: Folder, size: tuple[int, int], small: tuple[int, int]
) -> None:
    folder.add("a/1.png", "test", picture(*size), group="g")
    folder.add("a/2.png", "train", picture(16, 16, "RGBA"), group="g")
    (card,) = folder.cards()["crossing"]
    assert SIDE == 160
    assert opened(card["picture"]).size == small
    assert opened(card["other_picture"]).size == (16, 16)


@pytest.mark.parametrize("fault", ["got nothing", "got other bytes"])
def test_a_picture_that_is_gone_or_changed_ends_it(folder: Folder, fault: str) -> None:
    one_of_each_kind(folder)
    if fault == "got nothing":
        (folder.root / "b/near.png").unlink()
    else:
        save(folder.root / "b/near.png", picture(seed=150))
    with pytest.raises(InputError, match=rf"b/near\.png' must be as it was scanned, {fault}"):
        folder.cards()


def test_pictures_that_are_not_shown_are_not_opened(folder: Folder) -> None:
    one_of_each_kind(folder)
    (folder.root / "b/single.png").unlink()
    assert len(folder.cards()["crossing"]) == 4


# ---------------------------------------------------------------- counts


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
        cluster=[look for *_, look, _ in rows],
        original=[path[:-7] for path in paths],
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


def test_the_users_random_split_leaks_nearly_everywhere() -> None:
    real = users_scan().manifest
    pictures = prepared(real)
    assert count_leaks(pictures, split(real, SplitSettings()))["any"]["count"] == 0
    random = count_leaks(pictures, script_split(pictures, SplitSettings()))
    assert random["test_pictures"] == 429
    assert random["copy"]["share"] > 0.99


def test_pairs_of_every_class_are_shown_before_a_second_one_of_any(folder: Folder) -> None:
    for label in ("a", "b", "c", "d", "e"):
        for number in range(3):
            group = f"{label}{number}"
            folder.add(f"{label}/{number}.png", "train", group=group, original=group)
            folder.add(f"{label}/{number}_copy.png", "test", group=group, original=group)
    crossing = [card for card in folder.cards()["crossing"] if card["kind"] == "copy"]
    assert [card["label"] for card in crossing] == ["a", "b", "c", "d", "e"]
