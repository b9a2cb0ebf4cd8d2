"""Folders as people have them: numbers that are no copies, guessed groups, fixed cameras.

Every image is drawn here. What a folder only seems to say is believed on evidence, and said.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from reports.sections.split import cautions, crossings, leak_verdict
from resnext.contracts.errors import InputError
from resnext.data.split.groups import ALONE
from resnext.data.split.split_folder import FolderSplit
from resnext.data.split.tables import Sources
from tests.resnext.data.samples import divided, told

Name = Callable[[int, int], str]
CLASSES = ("mel", "nev")


def scene(seed: int, side: int = 48) -> Image.Image:
    """A smooth random scene."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def draw(
    root: Path, name: Name, count: int = 24, image: Callable[[int, int], Image.Image] | None = None
) -> Path:
    """Draw `count` images a class, named by name(class, number), each of a scene of its own."""
    for k, label in enumerate(CLASSES):
        for number in range(count):
            path = root / label / name(k, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            (image or (lambda k, i: scene(1000 * k + i)))(k, number).save(path)
    return root


def fixed_camera(k: int, number: int) -> Image.Image:
    """The same part every time, with noise, and a scratch in the second class."""
    random = np.random.default_rng([k, number])
    grey = np.asarray(scene(7, 96)).astype(float) * (1 + random.normal(0, 0.04))
    noisy = Image.fromarray((grey + random.normal(0, 6, grey.shape)).clip(0, 255).astype(np.uint8))
    x, y = (int(v) for v in random.integers(20, 70, 2))
    ImageDraw.Draw(noisy).line([x, y, x + 12 * k, y + 4 * k], fill=(10, 10, 10), width=2)
    return noisy


def patterns_in(text: str) -> list[str]:
    """Read the patterns that a message says to give, as a shell would."""
    found = re.findall(r"--group-pattern ('[^']+'|\S+)", text)
    return [shlex.split(pattern)[0] for pattern in found if pattern.startswith("'")]


def used(division: FolderSplit) -> int:
    return int((division.split["split"] != "unused").sum())


def straddling(division: FolderSplit, patient: Callable[[str], str]) -> int:
    """Count the patients of used images that stand in several parts."""
    rows = division.split[division.split["split"] != "unused"]
    return int((rows["split"].groupby(rows["path"].map(patient)).nunique() > 1).sum())


def assert_nobody_says_that_nothing_leaks(division: FolderSplit) -> None:
    leakage = division.leakage
    assert leakage["scheme"]["groups_known"] is False
    assert "No test image" not in told(division)
    bad, verdict = leak_verdict(leakage)
    assert bad
    assert "is known to have a relative" not in verdict
    names = [row["name"] for row in crossings(leakage)]
    assert all("as far as" in name for name in names if "group" in name)
    assert cautions(leakage)[-len(leakage["warnings"]) :] == leakage["warnings"]


# ---------------------------------------------------------------- numbers that are no copies


def test_patient_lesion_photograph_keeps_patients_whole_and_says_that_it_guesses(
    tmp_path: Path,
) -> None:
    draw(tmp_path, lambda k, i: f"P{50 * k + i // 4 + 1:03d}_{i % 4 // 2 + 1}_{i % 2 + 1}.png")
    division = divided(tmp_path)
    assert used(division) == 48
    assert straddling(division, lambda path: path[4:8]) == 0
    assert division.leakage["scheme"]["ids"] == 12
    assert division.leakage["scheme"]["guessed"] is True
    warning = division.leakage["warnings"][0]
    assert warning.startswith("groups are a guess: mel/P001_1_1.png was read as group P001. ")
    assert "--groups FILE" in warning
    assert f"WARNING: {warning}" in told(division)
    assert_nobody_says_that_nothing_leaks(division)
    confirmed, alone = (divided(tmp_path, group_pattern=p) for p in patterns_in(warning))
    assert confirmed.split.equals(division.split)
    assert confirmed.leakage["warnings"] == []
    assert confirmed.leakage["scheme"]["groups_known"] is True
    assert alone.leakage["scheme"]["groups"] == 48
    assert patterns_in(warning)[1] == ALONE


def test_tiles_are_no_copies(tmp_path: Path) -> None:
    draw(tmp_path, lambda k, i: f"{'ts'[k]}{i // 6 + 1:02d}_{i % 6 // 3:02d}_{i % 3}.png")
    division = divided(tmp_path)
    assert used(division) == 48
    assert division.split["copy"].isna().all()
    assert straddling(division, lambda path: path[4:7]) == 0
    evidence = division.leakage["scheme"]["evidence"]
    assert "its numbers of copies are not believed: 0 of 32 that were compared" in evidence


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        (lambda _, i: f"IMG_2024051{i % 4}_10{i:02d}{i:02d}.png", 48),
        (lambda _, i: f"IMG2024_05_{i + 1:02d}.png", 48),
        (lambda k, i: f"grade_{k + 1}_{i:03d}.png", 48),
        (lambda k, i: f"grade{k + 1}_{i // 2:02d}_{i % 2}.png", 12),
        (lambda k, i: f"plate{6 * k + i // 4}_{'AB'[i % 4 // 2]}{i % 2:02d}_0.png", 12),
        (lambda k, i: f"clip_{6 * k + i // 4:03d}_{i % 4 * 30:04d}.png", 12),
        (lambda k, i: f"patient {6 * k + i // 4}/IMG_{i % 4:04d}.png", 12),
        (lambda k, i: f"{'xy'[k]}{'ab'[i // 12]}/{i:03d}_{i % 2}.png", 48),
    ],
)
def test_no_image_is_lost_and_no_guess_goes_unsaid(name: Name, groups: int, tmp_path: Path) -> None:
    division = divided(draw(tmp_path, name))
    assert used(division) == 48
    assert division.leakage["scheme"]["groups"] == groups
    assert_nobody_says_that_nothing_leaks(division)


@pytest.mark.parametrize(
    "name",
    [
        lambda _, i: f"P{i // 4 + 1:02d}_{i % 4}.png",
        lambda k, i: f"{CLASSES[k]}_subject{i // 4 + 1:02d}_{i % 4}.png",
        lambda _, i: f"subject{i // 4 + 1:02d}/{i % 4}.png",
    ],
)
def test_numbers_that_begin_anew_in_each_class_are_said_with_the_pattern_that_parts_them(
    name: Name, tmp_path: Path
) -> None:
    division = divided(draw(tmp_path, name))
    assert division.leakage["scheme"]["groups"] == 6
    _, warning, *_ = division.leakage["warnings"]
    assert warning.startswith("6 of 6 groups hold images of several classes. Do the numbers begin")
    assert "these are 12 groups" in warning
    (pattern,) = patterns_in(warning)
    apart = divided(tmp_path, group_pattern=pattern)
    assert (apart.leakage["scheme"]["groups"], apart.leakage["warnings"]) == (12, [])


def test_numbers_that_begin_anew_below_further_folders_need_a_table(tmp_path: Path) -> None:
    draw(tmp_path, lambda _, i: f"{'ab'[i % 2]}/subject{i // 4 + 1:02d}_{i % 4}.png")
    _, warning, *_ = divided(tmp_path).leakage["warnings"]
    assert "these are 12 groups: give a table with --groups FILE. It is right as it is" in warning
    assert patterns_in(warning) == []


def test_a_few_patients_with_images_of_several_classes_are_no_warning(tmp_path: Path) -> None:
    draw(tmp_path, lambda k, i: f"P{5 * k + i // 4 + 1:02d}_{i % 4}.png")  # P06 in both
    assert not any("several classes" in text for text in divided(tmp_path).leakage["warnings"])


def test_groups_that_two_people_wrote_in_two_ways_are_said(tmp_path: Path) -> None:
    draw(
        tmp_path,
        lambda k, i: f"{'Pp'[i % 2]}at{6 * k + i // 4 + 1:0{1 + i // 2 % 2 * 2}d}_{i % 4}.png",
    )
    found = divided(tmp_path, group_pattern=r"(?P<group>[Pp]at\d+)_").leakage["warnings"]
    by = r"ids by --group-pattern (?P<group>[Pp]at\d+)_ that differ in"
    assert found[:2] == [
        f"{by} case or blanks alone count as different groups: "
        "'Pat001' and 'pat001'; 'Pat002' and 'pat002'; 'Pat003' and 'pat003'; "
        "'Pat004' and 'pat004'; 'Pat005' and 'pat005' and 19 more",
        f"{by} leading zeros, marks or a .0 alone count as different groups: "
        "'Pat001' and 'Pat1'; 'Pat002' and 'Pat2'; 'Pat003' and 'Pat3'; "
        "'Pat004' and 'Pat4'; 'Pat005' and 'Pat5' and 7 more",
    ]


def test_an_unknown_naming_is_told_with_a_pattern_that_can_be_copied(tmp_path: Path) -> None:
    draw(tmp_path, lambda _, i: f"{'abcdef'[i // 4]} type/{i}.png")
    (warning,) = divided(tmp_path).leakage["warnings"]
    assert warning.startswith("the groups are not known: each of these 48 images counts as a group")
    proposal, alone = patterns_in(warning)
    assert divided(tmp_path, group_pattern=proposal).leakage["scheme"]["groups"] == 6
    assert divided(tmp_path, group_pattern=alone).leakage["warnings"] == []


# ---------------------------------------------------------------- numbers that are copies


def mirrored(image: Image.Image, copy: int) -> Image.Image:
    """Augment as scripts do."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if copy % 2 else image.rotate(3 * copy)


def brighter(image: Image.Image, copy: int) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1 + 0.1 * copy)


def copies(root: Path, change: Callable[[Image.Image, int], Image.Image]) -> Path:
    """Draw 8 patients a class, a photograph and three copies each."""

    def image(k: int, i: int) -> Image.Image:
        photograph = scene(1000 * k + i // 4)
        return change(photograph, i % 4) if i % 4 else photograph

    return draw(root, lambda k, i: f"{'MN'[k]}{i // 4:02d}_01_{i % 4:02d}.png", 32, image)


def test_copies_that_look_like_their_originals_are_believed(tmp_path: Path) -> None:
    division = divided(copies(tmp_path, mirrored))
    scheme = division.leakage["scheme"]
    assert (scheme["guessed"], scheme["groups_known"], scheme["groups"]) == (False, True, 16)
    held_out = division.split[division.split["split"].isin(["val", "test"])]
    assert set(held_out["copy"]) == {0}
    assert division.leakage["warnings"] == []


def test_copies_that_may_be_frames_are_a_guess_and_their_count_is_a_warning(tmp_path: Path) -> None:
    division = divided(copies(tmp_path := tmp_path / "data", brighter))
    dropped = int((division.split["split"] == "unused").sum())
    guess, left_out = division.leakage["warnings"]
    assert dropped > 0
    assert guess.startswith("groups are a guess: ")
    assert left_out.startswith(f"{dropped} images take part in nothing, since the guess takes them")
    (pattern,) = patterns_in(left_out)
    again = divided(tmp_path, group_pattern=pattern)
    assert used(again) == 64
    assert again.leakage["scheme"]["groups"] == 16
    listed = divided(tmp_path, Sources(table(tmp_path, lambda path: path[4:7])))
    assert re.match(r"\d+ images take part in nothing", listed.leakage["warnings"][0])


def test_copies_of_lesions_that_count_anew_in_each_folder_are_a_guess(tmp_path: Path) -> None:
    for k, label in enumerate(CLASSES):
        for i in range(96):
            patient, lesion, photograph, copy = (i // 16, i // 4 % 4, 0, i % 4)
            path = (
                tmp_path
                / label
                / f"{6 * k + patient:03d}"
                / f"mole{lesion}_{photograph}_{copy}.png"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            turned = [None, 0, 1, 3][copy]
            image = scene(1000 * k + i // 4)
            (image if turned is None else image.transpose(Image.Transpose(turned))).save(path)
    division = divided(tmp_path)
    assert division.leakage["scheme"]["groups_known"] is False
    warnings = division.leakage["warnings"]
    assert warnings[0].startswith("groups are a guess: ")
    assert straddling(division, lambda path: path.rpartition("_")[0]) == 0


def test_frames_of_a_fixed_camera_are_no_copies(tmp_path: Path) -> None:
    draw(tmp_path, lambda k, i: f"C{6 * k + i // 4:02d}_{i % 4 // 2}_{i % 2}.png", 24, fixed_camera)
    division = divided(tmp_path, near_duplicates="report")
    assert used(division) == 48
    assert (
        "24 of 24 that were compared look like the original, and 23 of 23 pairs"
        in (division.leakage["scheme"]["evidence"])
    )


def test_copies_without_believable_groups_stay_with_their_photograph(tmp_path: Path) -> None:
    def image(k: int, i: int) -> Image.Image:
        return mirrored(scene(1000 * k + i // 4), i % 4)

    draw(tmp_path, lambda k, i: f"grade_{k + 1}_{i // 4:02d}_{i % 4:02d}.png", 32, image)
    division = divided(tmp_path)
    assert division.leakage["scheme"]["groups"] == 16
    assert division.split.groupby(division.split["path"].str[:14])["group"].nunique().eq(1).all()
    assert "group 'grade_1' would hold 32 of 32 images" in division.leakage["scheme"]["evidence"]
    assert_nobody_says_that_nothing_leaks(division)


# ---------------------------------------------------------------- tables


def table(root: Path, group: Callable[[str], str], share: float = 1) -> Path:
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    rows = [f"{path},{group(path)}" for path in paths[: int(share * len(paths))]]
    (root.parent / "groups.csv").write_text("\n".join(["path,group", *rows]) + "\n")
    return root.parent / "groups.csv"


def test_the_images_that_a_table_leaves_out_are_counted(tmp_path: Path) -> None:
    root = draw(tmp_path / "data", lambda _, i: f"x{i:03d}y.png")
    division = divided(
        root, Sources(table(root, lambda path: f"{path[:3]} {int(path[5:8]) // 3}", 0.75))
    )
    scheme = division.leakage["scheme"]
    assert (scheme["listed"], scheme["unknown"], scheme["groups_known"]) == (36, 12, False)
    assert division.leakage["warnings"][0].startswith(
        "the groups of 12 of 48 images are not known: each of these 12 images counts as a group"
    )
    assert_nobody_says_that_nothing_leaks(division)
    whole = divided(root, Sources(table(root, lambda path: f"{path[:3]} {int(path[5:8]) // 3}")))
    assert whole.leakage["scheme"]["groups_known"] is True
    assert whole.leakage["warnings"] == []


def test_a_table_of_some_leaves_the_others_to_a_guess_and_counts_them(tmp_path: Path) -> None:
    root = draw(tmp_path / "data", lambda k, i: f"{i % 4 + 1}_P{50 * k + i // 4:03d}_{k}.png")
    division = divided(root, Sources(table(root, lambda path: path[6:10], 0.25)))
    warning, without_row = division.leakage["warnings"]
    assert warning.startswith("groups of 36 of 48 images are a guess: mel/")
    assert without_row.startswith("36 of 48 images have no row in --groups")
    assert division.leakage["scheme"]["groups"] == 12


def test_the_images_that_a_pattern_leaves_out_are_counted(tmp_path: Path) -> None:
    draw(tmp_path, lambda _, i: f"{'x' if i % 4 else 'P'}{i // 2:03d}_{i % 2}.png")
    division = divided(tmp_path, group_pattern=r"(?P<group>P\d+)_")
    assert division.leakage["warnings"][0].startswith("the groups of 36 of 48 images are not known")
    assert_nobody_says_that_nothing_leaks(division)


# ---------------------------------------------------------------- one scene


def one_scene(root: Path) -> tuple[Path, Path]:
    """One camera, one part, a scratch or none; and the table of days."""
    draw(root, lambda k, i: f"{CLASSES[k]}-{i:04d}-cam.png", 24, fixed_camera)
    return root, table(root, lambda path: f"day {int(path[8:12]) // 3}")


def test_a_complete_table_outranks_near_duplicates(tmp_path: Path) -> None:
    root, days = one_scene(tmp_path / "data")
    division = divided(root, Sources(days))
    assert straddling(division, lambda path: str(int(path[8:12]) // 3)) == 0
    assert (division.split["split"] != "unused").all(), "no conflict is made of a resemblance"
    near = division.leakage["near"]
    assert near["joined_pairs"] == 0
    assert near["not_joined_because"] == "--groups names the group of every image"
    assert set(division.pairs["verdict"]) == {"reported"}
    assert division.cards["crossing"] == []
    assert len(division.cards["reported"]) == 8
    (warning,) = [text for text in division.leakage["warnings"] if "near-duplicates" in text]
    assert warning.startswith(f"{near['reported_pairs']} pairs of near-duplicates were reported, ")
    bad, verdict = leak_verdict(division.leakage)
    assert bad
    assert "They were reported, not joined: --groups names the group of every image" in verdict


def test_identical_files_join_whatever_a_table_says(tmp_path: Path) -> None:
    root, _ = one_scene(tmp_path / "data")
    for label in CLASSES:
        twin = (root / label / f"{label}-0000-cam.png").read_bytes()
        (root / label / f"{label}-0023-cam.png").write_bytes(twin)
    division = divided(root, Sources(table(root, lambda path: f"day {int(path[8:12]) // 3}")))
    groups = division.split.set_index("path")["group"]
    assert groups["mel/mel-0000-cam.png"] == groups["mel/mel-0023-cam.png"]


def test_joining_that_would_swallow_a_class_is_only_reported(tmp_path: Path) -> None:
    root, _ = one_scene(tmp_path / "data")
    division = divided(root)
    assert used(division) == 48
    assert division.leakage["scheme"]["groups"] == 48
    text = told(division)
    assert "pairs of near-duplicates were reported, not joined: joining would leave class" in text
    assert_nobody_says_that_nothing_leaks(division)


@pytest.mark.parametrize("strategy", ["grouped", "stratified"])
def test_near_duplicates_are_joined_reported_or_not_searched(strategy: str, tmp_path: Path) -> None:
    draw(
        tmp_path, lambda _, i: f"x{i:03d}y.png", 24, lambda k, i: scene(90 * k + i // 2, 48 + i % 2)
    )
    joined, reported, off = (
        divided(tmp_path, near_duplicates=how, strategy=strategy)
        for how in ("join", "report", "off")
    )
    assert [d.leakage["scheme"]["groups"] for d in (joined, reported, off)] == [24, 48, 48]
    assert joined.leakage["drawn"]["near"]["count"] == 0
    assert reported.leakage["drawn"]["near"]["count"] > 0
    assert "reported, not joined: --near-duplicates report was given" in told(reported)
    assert "near" not in off.leakage["drawn"]
    assert off.pairs.empty
    assert "near-duplicates were not searched (--near-duplicates off)" in told(off)


# ---------------------------------------------------------------- errors, and that remedies help


def test_an_error_that_follows_from_a_guess_names_scheme_group_and_what_helps(
    tmp_path: Path,
) -> None:
    draw(tmp_path, lambda k, i: f"P{50 * k + i // (12 if k else 3):03d}_{i % 12}_1.png")
    with pytest.raises(InputError) as caught:
        divided(tmp_path)
    text = str(caught.value)
    assert text.startswith("Each class folder must hold at least 3 groups for a split into 3 parts")
    assert ", got 2 in 'nev'. " in text
    assert "The groups are a guess: the form P01_02_03 (patient, photograph, copy). " in text
    assert "Group 'P050' holds 12 of 24 images of 'nev'. " in text
    assert text.endswith(
        "remove the folder, say with `groups` or `group_pattern` who is who (--group-pattern "
        "'(?P<group>.+)': every image by itself), or use `split` stratified."
    )
    (alone,) = patterns_in(text)
    for way in ({"group_pattern": alone}, {"strategy": "stratified"}, {"shares": (80, 0, 20)}):
        assert used(divided(tmp_path, **way)) == 48


def test_where_all_are_called_copies_a_pattern_without_copies_helps(tmp_path: Path) -> None:
    draw(tmp_path, lambda k, i: f"pat{6 * k + i // 4}-{i % 4 + 1}.png")
    with pytest.raises(InputError) as caught:
        divided(tmp_path, group_pattern=r"(?P<group>pat\d+)-(?P<copy>\d)")
    assert str(caught.value).endswith(
        "All images of a class are copies by their names (no number, or 0, is an original). "
        "Add images of other patients, remove the folder, or give a `group_pattern` without "
        "'copy' if these are no copies."
    )
    assert used(divided(tmp_path, group_pattern=r"(?P<group>pat\d+)-(\d)")) == 48


def test_a_remedy_that_can_not_help_is_not_named(tmp_path: Path) -> None:
    draw(tmp_path, lambda _, i: f"x{i:03d}y.png", 6, lambda k, i: scene(k * (i + 1)))
    with pytest.raises(InputError, match=r"at least 3 groups .* got 1 in 'mel'") as caught:
        divided(tmp_path)
    assert str(caught.value).endswith("Add images of other patients or remove the folder.")
    for strategy in ("grouped", "stratified"):
        with pytest.raises(InputError, match="got 1 in 'mel'"):
            divided(tmp_path, strategy=strategy, group_pattern=ALONE)
    for number in range(6):
        scene(500 + number).save(tmp_path / "mel" / f"new{number}.png")
    assert used(divided(tmp_path)) > 12
