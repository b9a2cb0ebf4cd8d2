"""Images elsewhere that a model was made with: found by bytes, by looks and by group."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from resnext.contracts.errors import InputError
from resnext.contracts.tables import read_table, write_table
from resnext.data.manifest.scan import Scan, scan
from resnext.data.split import overlap
from resnext.data.split.settings import SplitSettings
from tests.resnext.data.samples import save

CLASSES = ("Blue", "Red")
Parts = Mapping[str, str]


def scene(seed: int) -> Image.Image:
    """Draw what looks like no other seed's."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((90, 90), Image.Resampling.BICUBIC)


class Place:
    """The images of a model, and a folder elsewhere."""

    def __init__(self, root: Path) -> None:
        self.own, self.here, self.root = root / "own", root / "here", root
        self.parts: dict[str, str] = {}
        self.groups: dict[str, str] = {}

    def learnt(self, path: str, seed: int, part: str = "train") -> None:
        save(self.own / path, scene(seed))
        self.parts[path] = part

    def add(self, path: str, image: Image.Image | int) -> None:
        save(self.here / path, scene(image) if isinstance(image, int) else image)

    def known(self, *, hashes: bool = True) -> overlap.Known:
        own = scan(self.own)
        names = [path.split("/")[1].split("_")[0] for path in self.parts]
        split = pd.DataFrame({"path": list(self.parts), "label": "x", "group": names})
        write_table(own.manifest, self.root / "manifest.csv")
        write_table(split.assign(split=list(self.parts.values())), self.root / "split.csv")
        np.save(self.root / "hashes.npy", own.hashes)
        files = [self.root / name for name in ("manifest.csv", "split.csv", "hashes.npy")]
        return overlap.read_known(*files[: 3 if hashes else 2])

    def labelled(self, near: str = "join") -> tuple[overlap.Labelled, Scan]:
        found = scan(self.here)
        settings = SplitSettings(near_duplicates=near, group_pattern=r"/(?P<group>[^/_]+)_")
        given = (self.here, found.manifest, found.hashes, settings)
        return overlap.group_labelled(*given), found

    def found(
        self, near: str = "join", *, new_groups: bool = False, hashes: bool = True
    ) -> dict[str, tuple[str, str]]:
        here, _ = self.labelled(near)
        known = self.known(hashes=hashes)
        table = overlap.find_overlap(here, known, near, new_groups=new_groups)
        rows = table[["path", "reason", "other"]].to_numpy().tolist()
        return {path: (reason, other) for path, reason, other in rows}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    for number in range(4):
        made.learnt(f"Blue/b{number}_1.png", number)
        made.learnt(f"Red/r{number}_1.png", 10 + number)
    made.learnt("Blue/v_1.png", 20, "val")
    made.learnt("Red/t_1.png", 21, "test")
    for number in range(3):
        made.add(f"Blue/new{number}_1.png", 30 + number)
        made.add(f"Red/other{number}_1.png", 40 + number)
    return made


def test_what_is_new_is_not_known(place: Place) -> None:
    assert place.found() == {}


def test_the_same_bytes_are_known_under_any_name_and_class(place: Place) -> None:
    place.add("Red/x_1.png", 2)
    place.add("Blue/y_1.png", 20)
    assert place.found() == {
        "Red/x_1.png": ("identical", "Blue/b2_1.png"),
        "Blue/y_1.png": ("identical", "Blue/v_1.png"),
    }


def test_images_of_the_models_test_part_are_not_known(place: Place) -> None:
    place.add("Red/x_1.png", 21)
    assert place.found() == {}


def test_the_same_scene_turned_and_made_smaller_is_known(place: Place) -> None:
    paths = list[str]()
    for turn in (0, 90, 180, 270):
        for mirror in (lambda image: image, ImageOps.mirror):
            paths.append(f"Red/x{len(paths)}_1.png")
            place.add(paths[-1], mirror(scene(3).rotate(turn)).resize((70, 70)))
    place.add("Red/again_1.png", scene(3).resize((70, 70)))  # whose hashes are those of the first
    paths.append("Red/again_1.png")
    assert place.found() == dict.fromkeys(paths, ("nearly identical", "Blue/b3_1.png"))


def test_without_hashes_beside_the_model_an_equal_phash_is_known(place: Place) -> None:
    place.add("Red/x_1.png", ImageOps.mirror(scene(3)))
    found = place.found(hashes=False)
    assert found == {"Red/x_1.png": ("nearly identical", "Blue/b3_1.png")}


def test_an_image_of_one_grey_looks_like_nothing(place: Place) -> None:
    grey = Image.new("RGB", (50, 50), (90, 90, 90))
    save(place.own / "Blue/grey_1.png", grey)
    place.parts["Blue/grey_1.png"] = "train"
    place.add("Red/x_1.png", Image.new("RGB", (60, 60), (120, 120, 120)))
    assert place.found() == {}


def test_another_image_of_a_learnt_group_is_known_by_the_groups_name(place: Place) -> None:
    place.add("Blue/b1_7.png", 50)
    place.add("Blue/t_7.png", 51)  # a group of the test part
    expected = {"Blue/b1_7.png": ("group of the same name", "Blue/b1_1.png")}
    assert place.found() == expected
    assert place.found(new_groups=True) == {}


def test_who_shares_a_group_here_with_a_known_image_is_known(place: Place) -> None:
    place.add("Red/new0_2.png", 12)
    assert place.found() == {
        "Red/new0_2.png": ("identical", "Red/r2_1.png"),
        "Blue/new0_1.png": ("same group as an image that is known", "Red/r2_1.png"),
    }


def test_near_duplicates_are_reported_alone_or_not_looked_for(place: Place) -> None:
    place.add("Red/new0_2.png", ImageOps.mirror(scene(3)))
    reported = place.found("report")
    assert reported == {"Red/new0_2.png": (overlap.REPORTED, "Blue/b3_1.png")}
    assert place.found("off") == {}
    here, _ = place.labelled("report")
    table = overlap.find_overlap(here, place.known(), "report")
    split = overlap.choose_scored(here.images, table, CLASSES)
    assert set(split["split"]) == {"test"}


def test_the_parts_say_what_is_scored_and_why_the_rest_is_not(place: Place) -> None:
    place.add("Red/x_1.png", 2)
    place.add("Green/g_1.png", 60)
    place.add("Red/other0_2.png", 40)  # once more
    place.add("Blue/both_1.png", 70)
    place.add("Red/both_2.png", 70)  # the same image of two classes
    here, _ = place.labelled()
    table = overlap.find_overlap(here, place.known())
    split = overlap.choose_scored(here.images, table, CLASSES)
    unused = split[split["split"] == "unused"].set_index("path")["reason"].to_dict()
    assert unused == {
        "Red/x_1.png": "identical: Blue/b2_1.png",
        "Green/g_1.png": "class that the model lacks",
        "Red/other0_2.png": "identical to a photograph already in test",
        "Blue/both_1.png": "label conflict: identical to Red/both_2.png",
        "Red/both_2.png": "label conflict: identical to Blue/both_1.png",
    }
    counts = overlap.count_overlap(here, split, table, (*CLASSES, "Violet"))
    assert (counts["images"], counts["scored"], counts["groups"]) == (11, 6, 6)
    assert counts["known"] == {"identical": 1}
    assert counts["lacking"] == {"Green": 1}
    assert counts["absent"] == ["Violet"]
    said = overlap.describe_overlap(counts)
    assert "1 image known from the training data, and left out: 1 identical" in said
    assert "Class Green is not one of the model's: 1 image left out" in said
    assert "No image of the model's class Violet is scored" in said
    assert said.endswith("Scored: 6 images of 6 groups")


def test_with_nothing_beside_the_model_it_is_said_that_nothing_was_checked(place: Place) -> None:
    here, _ = place.labelled()
    none = pd.DataFrame(columns=overlap.OVERLAP_COLUMNS, dtype="str")
    split = overlap.choose_scored(here.images, none, CLASSES)
    counts = overlap.count_overlap(here, split, None, CLASSES)
    assert not counts["checked"]
    assert "could not be checked" in overlap.describe_overlap(counts)
    counts = overlap.count_overlap(here, split, none, CLASSES, phash_alone=True)
    assert "No hashes.npy lies beside the model" in overlap.describe_overlap(counts)


def test_classes_of_other_names_and_images_all_known_are_wrong_input(place: Place) -> None:
    here, _ = place.labelled()
    none = pd.DataFrame(columns=overlap.OVERLAP_COLUMNS, dtype="str")
    with pytest.raises(InputError, match=r"hold a class of the model \(a, b\), got Blue, Red"):
        overlap.choose_scored(here.images, none, ("b", "a"))
    every = here.images.assign(reason=overlap.SAME_NAME, other="x", split="train")
    with pytest.raises(InputError, match=r"none: 6 group of the same name.*`new_groups`") as said:
        overlap.choose_scored(here.images, every[overlap.OVERLAP_COLUMNS], CLASSES)
    named = "made with: Blue/new0_1.png (x), Blue/new1_1.png (x), Blue/new2_1.png (x), "
    assert f"{named}Red/other0_1.png (x), Red/other1_1.png (x) and 1 more. Add" in str(said.value)


def test_groups_that_no_name_tells_are_warned_of(place: Place) -> None:
    found = scan(place.here)
    given = (place.here, found.manifest, found.hashes)
    unknown = overlap.group_labelled(*given, SplitSettings(near_duplicates="off"))
    none = pd.DataFrame(columns=overlap.OVERLAP_COLUMNS, dtype="str")
    split = overlap.choose_scored(unknown.images, none, CLASSES)
    said = overlap.describe_overlap(overlap.count_overlap(unknown, split, none, CLASSES))
    (warning,) = [line for line in said.split("\n") if line.startswith("WARNING")]
    assert "intervals are too narrow where images belong together" in warning
    assert "--groups FILE" in warning
    here, _ = place.labelled("off")
    assert overlap.count_overlap(here, split, none, CLASSES)["group_warnings"] == []


def test_overlap_csv_is_read_back_as_it_was(place: Place, tmp_path: Path) -> None:
    place.add("Red/x_1.png", 2)
    here, _ = place.labelled()
    table = overlap.find_overlap(here, place.known())
    write_table(table, tmp_path / "overlap.csv")
    assert read_table(tmp_path / "overlap.csv").equals(table)
    assert table["split"].tolist() == ["train"]
