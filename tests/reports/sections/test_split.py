from typing import Any

import pandas as pd
import pytest

from reports.sections import split as section
from tests.reports.figures.samples import history

COLUMNS = ["path", "label", "group", "copy", "split", "reason"]


def counts(number: int, of: int) -> dict[str, Any]:
    return {"count": number, "share": number / of if of else None}


def part(number: int, of: int = 10, **more: int) -> dict[str, Any]:
    """Count `number` of `of` test pictures, all with a copy, but for what `more` says."""
    kinds = {"copy": number} | more | {"any": max(number, *more.values(), 0)}
    return {"test_pictures": of} | {kind: counts(found, of) for kind, found in kinds.items()}


def unused(*reasons: str) -> pd.DataFrame:
    rows = [(f"{place}.jpg", "a", "g", 0, "unused", reason) for place, reason in enumerate(reasons)]
    return pd.DataFrame([*rows, ("t.jpg", "a", "g", 0, "train", "")], columns=COLUMNS)


def test_images_and_groups_are_counted_by_class_and_part() -> None:
    split = pd.DataFrame(
        [
            ("a.jpg", "Monkeypox", "p1", 0, "train", ""),
            ("b.jpg", "Monkeypox", "p1", 0, "train", ""),
            ("c.jpg", "Others", "p2", 0, "val", ""),
            ("d.jpg", "Others", "p3", 0, "test", ""),
            ("e.jpg", "Others", "p3", 1, "unused", "augmented copy"),
            ("f.jpg", "Others", "p4", 0, "unused", "label conflict"),
        ],
        columns=COLUMNS,
    )
    assert section.rows(split, ["Others", "Monkeypox"]) == [
        ("Others", {"train": 0, "val": 1, "test": 1, "unused": 2}),
        ("Monkeypox", {"train": 2, "val": 0, "test": 0, "unused": 0}),
        ("All images", {"train": 2, "val": 1, "test": 1, "unused": 2}),
        ("Groups", {"train": 1, "val": 1, "test": 1, "unused": 1}),  # p3 is used
    ]


def test_unused_images_are_counted_by_reason_and_label_conflicts_listed_by_name() -> None:
    split = unused(
        "not in the given split",
        "label conflict: nearly identical to b/x: y.jpg",
        "copy of a held-out photograph",
        "label conflict: identical to b/two\nlines.jpg",
        "not in the given split",
        "not in the given split",
    )
    assert section.unused_reasons(split) == [
        ("not in the given split", 3),
        ("label conflict", 2),
        ("copy of a held-out photograph", 1),
    ]
    assert section.label_conflicts(split) == [
        ("1.jpg", "nearly identical to b/x: y.jpg"),
        ("3.jpg", "identical to b/two\nlines.jpg"),
    ]
    assert section.label_conflicts(unused()) == []


def test_every_kind_of_relative_stands_in_a_row_for_both_splits() -> None:
    leakage = {"drawn": part(0, near=0, group=0), "random": part(4, near=9, exact=1)}
    rows = [row.values() for row in section.crossings(leakage)]
    assert [(name, *(cell.replace("\u00a0", " ") for cell in cells)) for name, *cells in rows] == [
        ("another copy of the same original", "0 (0.0 %)", "4 (40.0 %)"),
        ("an identical file", "n/a", "1 (10.0 %)"),
        ("a near-duplicate", "0 (0.0 %)", "9 (90.0 %)"),
        ("an image of the same group", "0 (0.0 %)", "n/a"),
        ("any of these", "0 (0.0 %)", "9 (90.0 %)"),
    ]


@pytest.mark.parametrize("leakage", [None, {}, {"drawn": None}, {"drawn": {}, "random": None}])
def test_what_was_not_counted_is_not_taken_for_zero(leakage: dict[str, Any] | None) -> None:
    assert section.crossings(leakage) == []
    assert section.leak_verdict(leakage) == (
        False,
        "Whether test images have relatives in train was not counted.",
    )
    assert section.random_verdict(leakage) == ""
    assert section.cautions(leakage) == []
    assert section.facts(leakage) == {}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 test image (10.0\u00a0%) has a relative in train: the score is too good"),
        (2, "2 test images (20.0\u00a0%) have relatives in train: the score is too good"),
    ],
)
def test_one_leak_is_a_strong_warning(number: int, words: str) -> None:
    bad, sentence = section.leak_verdict({"drawn": part(number)})
    assert bad
    assert sentence.startswith(words)
    clean = (False, "No test image is known to have a relative in train.")
    for scheme in ({}, {"name": "MSLD"}):
        assert section.leak_verdict({"drawn": part(0), "scheme": scheme}) == clean


@pytest.mark.parametrize(
    ("random", "words"),
    [
        (part(429, 429, group=429), "429 of 429 images (100.0 %) whose copies the network"),
        (part(0, 10, group=5), "5 of 10 images (50.0 %) whose group the network"),
        (
            part(2, 10, group=5),
            "5 of 10 images (50.0 %) whose copies or other images of the group the network",
        ),
        (part(1, 1), "1 of 1 image (100.0 %) whose copies the network"),
    ],
)
def test_a_random_split_that_alone_leaks_is_told_in_one_sentence(
    random: dict[str, Any], words: str
) -> None:
    sentence = section.random_verdict({"drawn": part(0), "random": random}).replace("\u00a0", " ")
    assert sentence == f"A random split would have tested on {words} had seen."


def test_a_random_split_is_no_excuse_and_none_is_made_up() -> None:
    for leakage in (
        {"drawn": part(1), "random": part(9)},
        {"drawn": part(0), "random": part(0)},
        {"random": part(9)},
    ):
        assert section.random_verdict(leakage) == ""


@pytest.mark.parametrize(
    ("parts", "measured", "said"),
    [
        (("train", "val", "test"), True, False),
        (("train", "test"), True, True),
        (("train", "test"), False, False),  # a probe: no curve is named test
    ],
)
def test_curves_that_are_of_the_test_part_are_said_to_be(
    parts: tuple[str, ...], measured: bool, said: bool
) -> None:
    notes = section.notes(pd.DataFrame({"split": parts}), history(3, measured=measured))
    assert notes == ([section.NO_VALIDATION] if said else [])


def test_crossings_of_the_validation_part_and_warnings_are_listed() -> None:
    leakage = {
        "drawn_val": {"val_pictures": 40, "any": counts(3, 40)},
        "drawn_test_val": {"test_pictures": 10, "any": counts(1, 10)},
        "warnings": ["Group 'M01' holds a tenth of the set."],
    }
    said = [line.replace("\u00a0", " ") for line in section.cautions(leakage)]
    assert said == [
        "3 validation images (7.5 %) have relatives in train: an epoch that the validation part "
        "chose was chosen with images that the network partly knew.",
        "1 test image (10.0 %) has a relative in validation: an epoch that was chosen by it, or a "
        "probe that was trained on it, has met images much like those that are tested.",
        "Group 'M01' holds a tenth of the set.",
    ]
    clean = {"drawn_val": {"any": counts(0, 40)}, "warnings": []}
    assert section.cautions(clean) == []


def test_how_it_was_divided_is_said_as_far_as_it_is_known() -> None:
    leakage = {
        "strategy": "given",
        "scheme": {"name": "MSLD", "evidence": "MSLD fits 2,142 of 2,142 names."},
        "near": {"joined_pairs": 12, "listed_pairs": 5},
        "largest_group": {"name": "M01", "photographs": 14, "share": 0.25},
    }
    facts = {name: text.replace("\u00a0", " ") for name, text in section.facts(leakage).items()}
    assert facts == {
        "Strategy": "the split that came with the data",
        "How groups were found": "MSLD fits 2,142 of 2,142 names.",
        "Images that look alike": (
            "12 pairs taken for one original and joined, 5 left for you to judge"
        ),
        "Largest group": "“M01”, 14 originals (25.0 %)",
    }
    met = {"rows": 36, "met": 34, "pictures": 1, "pictures_without": 0}
    said = section.facts({"tables": {"--groups": met}})["Your tables"]
    assert said.replace("\u00a0", " ") == (
        "--groups: 34 of 36 rows met an image, 0 of 1 image have no row"
    )
    assert list(section.facts({"near": {"searched": False}}).values()) == ["not searched"]
    some = {"strategy": "of tomorrow", "scheme": {"name": None}, "near": {"joined_pairs": 1}}
    assert section.facts(some) == {
        "Strategy": "of tomorrow",
        "Images that look alike": "1 pair taken for one original and joined",
    }
    joined = {"largest_group": {"name": "P=Q", "ids": ["P", "Q"], "photographs": 2}}
    assert section.facts(joined) == {"Largest group": "“P” and “Q”, joined, 2 originals"}


# ---------------------------------------------------------------- what is only guessed or alike


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ({"guessed": True, "evidence": "V1 fits 9 of 9 names"}, "guessed (V1 fits 9 of 9 names)"),
        ({"unknown": 12, "names": 48}, "the groups of 12 of 48 images are not known"),
        ({"unknown": 48, "names": 48}, "the file names follow no known scheme"),
        ({"name": None}, "the file names follow no known scheme"),
    ],
)
def test_where_groups_are_not_known_nobody_says_that_nothing_leaks(
    scheme: dict[str, Any], words: str
) -> None:
    known = {"name": "V1", "groups_known": False}
    leakage = {"drawn": part(0, group=0), "random": part(0), "scheme": known | scheme}
    bad, sentence = section.leak_verdict(leakage)
    assert bad
    assert sentence.startswith("Whether test images have relatives in train is not known: ")
    assert words in sentence
    assert [row["name"] for row in section.crossings(leakage)][1:] == [
        "an image of the same group, as far as groups are known",
        "any of these, as far as groups are known",
    ]


def test_near_duplicates_that_were_not_joined_are_no_proof() -> None:
    near = {"joined_pairs": 0, "reported_pairs": 9, "not_joined_because": "why"}
    counted = {"near": counts(3, 10), "group": counts(0, 10), "any": counts(3, 10)}
    leakage = {"drawn": counted, "near": near, "drawn_val": counted}
    bad, sentence = section.leak_verdict(leakage)
    assert bad
    assert sentence.startswith("3 test images (30.0\u00a0%) have a near-duplicate in train. They")
    assert "not joined: why. If they show the same thing, the score is too good" in sentence
    assert section.cautions(leakage) == []
    assert (
        "9 near-duplicates that were reported, not joined"
        in (section.facts(leakage)["Images that look alike"])
    )
    more = leakage | {"drawn": counted | {"group": counts(1, 10)}}
    assert "too good to be believed for new patients" in section.leak_verdict(more)[1]


def test_with_folds_an_image_is_named_by_the_fold_that_tests_it() -> None:
    table = pd.DataFrame({"path": ["a", "b", "c"], "fold": [2.0, None, 1.0]})
    assert section.tested_in(table) == {"a": "Fold 2", "c": "Fold 1"}
    assert section.tested_in(table[["path"]]) == {}
