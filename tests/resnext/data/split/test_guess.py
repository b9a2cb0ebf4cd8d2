"""Which level or field of the names may tell groups: plain, proposed, or nothing."""

import time
import uuid
from collections.abc import Callable

import pytest

from resnext.data.split.groups import Groups, find_groups
from resnext.data.split.guess import Guess, find_structure
from tests.resnext.data.samples import table

NAMES = ["ann", "bob", "cem", "dan", "eve", "fay", "gus", "hal", "ida", "jon", "kim", "leo"]


def paths(name: Callable[[int, int], str], count: int = 48) -> list[str]:
    """Name `count` images of two classes by name(class, number)."""
    return [f"{label}/{name(k, i)}" for k, label in enumerate(("mel", "nev")) for i in range(count)]


def read(found: list[str]) -> Groups:
    return find_groups(table(found))


def guess(found: list[str]) -> Guess | None:
    return find_structure(found, [path.split("/")[0] for path in found])


def patient(k: int, i: int, each: int = 4) -> int:
    """Number the patients of both classes, with `each` images a patient."""
    return 50 * k + i // each


# 24 patients, each with two lesions of two images
PLAIN = {
    "P001_1_2": lambda k, i: f"P{patient(k, i):03d}_{i % 4 // 2 + 1}_{i % 2 + 1}.jpg",
    "1_P001_2": lambda k, i: f"{i % 4 // 2 + 1}_P{patient(k, i):03d}_{i % 2 + 1}.jpg",
    "1_2_K001": lambda k, i: f"{i % 4 // 2 + 1}_{i % 2 + 1}_K{patient(k, i):03d}.jpg",
    "001-1-2": lambda k, i: f"{patient(k, i):03d}-{i % 4 // 2 + 1}-{i % 2 + 1}.jpg",
    "lesion3_pat12_img1": (
        lambda k, i: f"lesion{patient(2 * k, i, 2)}_pat{patient(k, i)}_img{i % 2}.png"
    ),
    "pat-0012-left-01": lambda k, i: f"pat-{patient(k, i):04d}-{'rl'[i % 2]}-{i % 4 // 2:02d}.jpg",
    "P001L2I3": lambda k, i: f"P{patient(k, i):03d}L{i % 4 // 2 + 1}I{i % 2 + 1}.jpg",
    "a hash and a number": lambda k, i: f"{(7919 * (99 * k + i // 4 + 5)) % 16**6:06x}_{i % 4}.jpg",
    "a name and a number": lambda k, i: f"{NAMES[i // 4]}{'ab'[k] * k}_{i % 4}.jpg",
    "PAT_1516_1765_530": (
        lambda k, i: f"PAT_{1500 + patient(k, i)}_{3000 + patient(k, i, 2)}_{i}.png"
    ),
    "initials, lesion, photograph": (
        lambda k, i: f"{'XY'[k]}{chr(65 + i // 4)}_{i % 4 // 2 + 1}_{i % 2 + 1}.jpg"
    ),
    "a date, a number of six digits, a photograph": (
        lambda k, i: f"202405{i // 4 % 9 + 10}_{104729 * (k + 1) + 7919 * (i // 4)}_{i % 4}.jpg"
    ),
    "a number, a visit": lambda k, i: f"{patient(k, i):03d}_visit{i % 4 + 1}_{i % 2}.jpg",
    "a visit, a number": lambda k, i: f"visit{i % 4 + 1}_{patient(k, i):03d}_1.jpg",
    "a name, a lesion": lambda k, i: f"{NAMES[i // 4]}{'ab'[k] * k}_lesion{i % 4 + 1}_1.jpg",
    "a folder a patient, lesions": lambda k, i: f"{patient(k, i)}/lesion{i % 4 + 1}_1.jpg",
    "a folder a patient, visits": lambda k, i: f"{patient(k, i)}/visit{i % 4 + 1}/1.jpg",
    "a folder a patient": lambda k, i: f"patient_{patient(k, i)}/IMG_{i % 4:04d}.jpg",
    "numbered folders": lambda k, i: f"{patient(k, i):03d}/left/{i % 4}.jpg",
    "patients below subtypes": (
        lambda k, i: f"{'xy'[i // 24]}/{patient(k, i)}AB/{40 * (i % 4)}X/1.png"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_patients_are_found_where_names_or_folders_hold_them_plainly(name: str) -> None:
    found = read(paths(PLAIN[name]))
    assert (found.ids, found.guessed, found.unknown) == (24, True, 0)
    assert found.images.groupby("group").size().eq(4).all()
    confirmed = find_groups(table(paths(PLAIN[name])), found.reading.pattern)
    assert confirmed.images["group"].equals(found.images["group"])
    assert not confirmed.guessed


OTHERS = {
    "clips and frames": (lambda k, i: f"video{6 * k + i // 8}_frame{i % 8 * 30:04d}.jpg", 12),
    "clips, the word before": (lambda k, i: f"clip_{6 * k + i // 8:03d}_{i % 8 * 30:04d}.jpg", 12),
    "slides, rows, columns": (
        lambda k, i: f"slide{9 * k + i // 8}_x{i % 8 // 2:03d}_y{i % 2}.png",
        12,
    ),
    "wells of two plates": (
        lambda k, i: f"plate{i // 12 % 2}_{'ABCD'[i // 4 % 4]}{12 * k + i // 4:02d}_s{i % 4}.tif",
        24,
    ),
    "crops of an image": (lambda k, i: f"img_{100 * k + i // 4}_{i % 4}.jpg", 24),
    "patients in both classes, crops of their photographs": (
        lambda k, i: f"K{i // 4:02d}_{48 * k + i // 2:04d}_{i % 2}.jpg",
        12,
    ),
    "both eyes": (lambda k, i: f"{50 * k + i // 2}_{('left', 'right')[i % 2]}.jpg", 48),
    "Roboflow": (lambda k, i: f"IMG_{100 * k + i // 3:04d}_jpg.rf.{i:032x}.jpg", 32),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_belongs_together_besides_patients_is_found(name: str) -> None:
    made, groups = OTHERS[name]
    found = read(paths(made))
    assert (found.ids, found.guessed) == (groups, True)


NOT_PLAIN = {
    "rows and columns": (lambda _, i: f"tile_{i // 7:02d}_{i % 7:02d}.png", True),
    "two slides a class in rows and columns": (
        lambda k, i: f"{2 * k + i // 24:03d}_{i % 24 // 6:02d}_{i % 6:02d}.png", False,
    ),
    "a phone's date and time": (
        lambda _, i: f"IMG_202405{i % 9 + 1:02d}_10{i:02d}{i:02d}.jpg",
        True,
    ),
    "bursts of a phone": (
        lambda k, i: f"IMG_20240517_1{k}{i // 4:02d}00_BURST{i % 4 + 1:03d}.jpg",
        True,
    ),
    "a date and a number": (lambda _, i: f"2024-05-{i % 9 + 1:02d}_{i // 9 + 1:03d}.jpg", True),
    "WhatsApp": (lambda _, i: f"IMG-202405{i % 9 + 1:02d}-WA{i // 9:04d}.jpg", True),
    "grades within a class": (lambda _, i: f"grade_{i % 4 + 1}_{i // 4:03d}.jpg", True),
    "few rounds in all classes": (lambda k, i: f"{'ab'[k]}-{i % 7}-{i:03d}.jpg", True),
    "folders called by words": (
        lambda k, i: f"{NAMES[i // 4]} {'ab'[k]}/{i}.jpg",
        True,
    ),
    "breeds with numbers": (lambda k, i: f"n02{k}{i // 8}-{NAMES[i // 8]}hound/{i}.jpg", True),
    "four stages": (lambda _, i: f"stage{i // 12}/{i}.jpg", True),
    "two subtypes": (lambda k, i: f"{'xy'[k]}{'ab'[i // 24]}/{i}.jpg", False),
    "two cameras": (lambda _, i: f"CAM{i % 2}_20240517_{i:04d}.jpg", False),
    "two videos a class": (lambda k, i: f"video{2 * k + i // 24}_frame{i % 24:04d}.jpg", False),
    "the class as grade": (lambda k, i: f"grade_{k + 1}_{i:03d}.jpg", False),
    "the class glued": (lambda k, i: f"grade{k + 1}_{i:03d}.jpg", False),
    "plain counters": (lambda _, i: f"img_{i:04d}.jpg", False),
    "counters in brackets": (lambda _, i: f"img ({i}).jpg", False),
    "the class in the name": (lambda k, i: f"{('mel', 'nev')[k]}-{i:04d}-cam.jpg", False),
    "UUIDs": (lambda k, i: f"{uuid.UUID(int=(k * 1000 + i) * 3**70 % 2**128)}.jpg", False),
    "ImageNet": (lambda k, i: f"n0144{k}764_{i * 7}.JPEG", False),
    "ISIC": (lambda k, i: f"ISIC_{24306 + 50 * k + i:07d}.jpg", False),
    "one image a folder": (lambda k, i: f"p{50 * k + i}/x.jpg", False),
    "names of many shapes": (
        lambda _, i: (f"IMG_{i}.jpg", f"photo {i}.jpg", f"{i}-{i}-{i}.png")[i % 3],
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_groups_nothing_and_is_proposed_where_it_can_serve(name: str) -> None:
    made, is_proposed = NOT_PLAIN[name]
    found = read(paths(made))
    assert (found.reading.scheme, found.ids, found.unknown) == ("", 96, 96)
    assert bool(found.reading.proposal) == is_proposed
    if is_proposed:
        taken = find_groups(table(paths(made)), found.reading.proposal).images
        assert taken.groupby("label")["group"].nunique().min() >= 3, "a split into 3 parts works"


def test_a_folder_of_one_patient_below_train_and_test_is_one_group() -> None:
    found = [
        f"{part}/{label}/pt{20 * k + i // 4}/{i}.jpg"
        for part in ("train", "test")
        for k, label in enumerate("ab")
        for i in range(24)
    ]
    names = find_groups(table(found).assign(label=[path.split("/")[1] for path in found]))
    assert names.ids == 12
    assert names.reading.pattern == "^(?:[^/]+/){2}(?P<group>[^/]+)/"


def test_a_guess_that_puts_a_class_into_one_group_is_not_taken() -> None:
    found = paths(PLAIN["1_P001_2"]) + [f"rare/{i}_P900_1.jpg" for i in range(5)]
    names = read(found)
    assert (names.reading.scheme, names.ids) == ("", len(found))
    assert "rare" in names.reading.but or "too few" in names.reading.but


def test_images_of_many_shapes_do_not_hide_a_few_strangers() -> None:
    found = [*paths(PLAIN["1_P001_2"]), "mel/stranger.jpg", "nev/another one.jpg"]
    names = read(found)
    assert (names.guessed, names.ids, names.unknown) == (True, 26, 2)


def test_of_a_folder_and_a_name_the_one_with_the_wider_word_is_taken() -> None:
    found = guess(paths(lambda k, i: f"{i % 6:03d}/pat{patient(k, i)}_{i % 4}.jpg"))
    assert found is not None
    assert (found.plain, found.where) == (True, "field 1 of the file names")


@pytest.mark.parametrize("name", ["P{0:02d}_{1}_{2}", "slide{0}_x{1}_y{2}", "{1}_P{0:02d}_{2}"])
def test_a_few_patients_or_slides_that_stand_in_both_classes_are_groups(name: str) -> None:
    found = read(paths(lambda _, i: f"{name.format(i // 8, i % 8 // 2 + 1, i % 2 + 1)}.png"))
    assert (found.ids, found.guessed) == (6, True)


def test_a_few_numbers_that_stand_in_both_classes_are_not() -> None:
    found = read(paths(lambda _, i: f"q{i // 8}_{i % 8 // 2 + 1}_{i % 2 + 1}.png"))
    assert (found.ids, found.reading.scheme) == (96, "")
    assert found.reading.but.endswith("its 6 groups would hold images of several classes each")


def test_no_image_is_no_structure() -> None:
    assert find_structure([], []) is None


def test_names_of_many_images_are_read_in_seconds() -> None:
    found = [
        f"{'abcd'[i % 4]}/lesion{i % 5}_pat{i // 40}_img{i // 4 % 10}.jpg" for i in range(20_000)
    ]
    began = time.process_time()
    assert read(found).ids == 500
    assert time.process_time() - began < 3  # 0.3 s on a free core
