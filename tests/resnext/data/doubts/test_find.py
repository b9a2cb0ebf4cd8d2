"""What was planted among drawn features is found, the greatest doubt of each kind first."""

import numpy as np
import pandas as pd
import pytest

from resnext.data.doubts.find import (
    FAR,
    GROUPS,
    LABEL,
    NEAR,
    Known,
    find_doubts,
    known_images,
    to_be_decided,
)
from resnext.data.doubts.neighbours import distances, find_neighbours
from resnext.data.manifest.decisions import no_decisions

WIDTH = 40


def drawn(count: int = 400, seed: int = 0) -> Known:
    """Draw images of two classes, two of each group: what they share is a little of the class."""
    draw = np.random.default_rng(seed)
    numbers = np.arange(count)
    classes = numbers // 2 % 2
    features = 3 + draw.normal(size=(count, 2, WIDTH))
    features[:, :, :8] += 2 * classes[:, None, None]
    images = pd.DataFrame(
        {
            "path": [f"{'ab'[each]}/{number:03}.png" for number, each in enumerate(classes)],
            "label": np.where(classes == 1, "b", "a"),
            "group": [f"g{number // 2:03}" for number in numbers],
            "split": np.where(numbers // 2 % 5 == 0, "test", "train"),
            "sha256": [f"{number:064x}" for number in numbers],
        }
    )
    return Known(images, features.astype(np.float32))


def of_kind(doubts: pd.DataFrame, kind: str) -> pd.DataFrame:
    return doubts[doubts["kind"] == kind]


def test_nothing_is_found_among_images_in_which_nothing_was_planted() -> None:
    found = find_doubts(drawn(), no_decisions())
    assert set(found["kind"]) <= {LABEL, GROUPS}
    assert len(of_kind(found, LABEL)) < 20


def test_a_near_duplicate_across_the_split_comes_before_one_within_a_part() -> None:
    known = drawn()
    draw = np.random.default_rng(9)
    for one, other, far in ((10, 303, 0.5), (6, 208, 0.2)):  # the first crosses
        known.features[other] = known.features[one] + far * draw.normal(size=(2, WIDTH))
    found = of_kind(find_doubts(known, no_decisions()), NEAR)
    pairs = [{*pair} for pair in found[["path", "other"]].to_numpy().tolist()]
    assert pairs == [{"b/010.png", "b/303.png"}, {"b/006.png", "a/208.png"}]
    assert found["score"].is_monotonic_increasing, "the less alike pair is the more serious"
    assert ["on both sides" in each for each in found["reason"]] == [True, False]


def test_with_folds_a_pair_crosses_where_its_images_are_tested_in_different_folds() -> None:
    known = drawn()
    known.features[303], known.features[208] = known.features[10], known.features[6]
    folds = np.arange(400) // 2 % 2 + 1.0
    folds[208], folds[303] = folds[6], 3 - folds[10]
    images = known.images.assign(split="train", fold=folds)
    found = of_kind(find_doubts(known._replace(images=images), no_decisions()), NEAR)
    reasons = dict(zip(found["path"], found["reason"], strict=True))
    assert "on both sides" in reasons["b/010.png"]
    assert "on both sides" not in reasons["b/006.png"]
    assert f"(fold {folds[6]:.0f} and fold {folds[6]:.0f})" in reasons["b/006.png"]


def test_a_near_duplicate_that_is_mirrored_is_found_in_another_view() -> None:
    known = drawn()
    known.features[303, 0], known.features[303, 1] = known.features[10, 1], known.features[10, 0]
    found = of_kind(find_doubts(known, no_decisions()), NEAR)
    assert {*found.iloc[0][["path", "other"]]} == {"b/010.png", "b/303.png"}
    assert found.iloc[0]["score"] == pytest.approx(1, abs=1e-5)


def test_one_group_under_two_names_is_found_first() -> None:
    known, draw = drawn(), np.random.default_rng(3)
    middle = 3 + 1.5 * draw.normal(size=WIDTH)
    for row in (20, 21, 22, 23):
        known.features[row] = middle + draw.normal(size=(2, WIDTH))
    found = of_kind(find_doubts(known, no_decisions()), GROUPS)
    assert "g010 and g011" in found.iloc[0]["reason"]
    assert found.iloc[0]["reason"].startswith("4 of 4")


def test_an_image_of_another_kind_is_found_first_even_where_its_whole_group_is_so() -> None:
    known = drawn()
    known.features[50:52] = np.random.default_rng(4).normal(size=WIDTH) - 6
    found = of_kind(find_doubts(known, no_decisions()), FAR)
    assert found["path"].tolist() == ["b/050.png", "b/051.png"]
    assert (found["score"] > 2).all()


def test_of_twenty_wrong_labels_at_least_fourteen_are_among_the_first_twenty() -> None:
    for seed in range(3):
        known = drawn(seed=seed)
        wrong = np.random.default_rng(seed).choice(400, 20, replace=False)
        labels = known.images["label"].to_numpy(copy=True)
        labels[wrong] = np.where(labels[wrong] == "a", "b", "a")
        planted = known._replace(images=known.images.assign(label=labels))
        found = of_kind(find_doubts(planted, no_decisions()), LABEL).head(20)
        hits = found["path"].isin(known.images["path"].iloc[wrong])
        assert hits.sum() >= 14
        assert (found.loc[hits, "suggested"] != found.loc[hits, "label"]).all()


def test_the_label_that_a_person_gave_is_in_no_doubt_any_more() -> None:
    known = drawn()
    known.images.loc[:19, "label"] = known.images.loc[:19, "label"].map({"a": "b", "b": "a"})
    found = of_kind(find_doubts(known, no_decisions()), LABEL)
    first = known.images[known.images["path"] == found["path"].iloc[0]]
    given = first[["path", "sha256"]].assign(kind="", decision=f"label:{first['label'].iloc[0]}")
    again = of_kind(find_doubts(known, given), LABEL)
    assert again["path"].tolist() == found["path"].tolist()[1:]


def test_out_of_fold_answers_of_a_network_count_where_there_are_some() -> None:
    images = drawn().images.head(6).assign(copy=0)
    answers = pd.DataFrame({"path": images["path"], "p_a": 0.9, "p_b": 0.1})
    answers.loc[2:3, ["p_a", "p_b"]] = [0.2, 0.8]
    twice = pd.concat([answers, answers.assign(p_a=1.0, p_b=0.0)])
    digests = images["sha256"].tolist()[::-1]
    known = known_images(images, np.zeros((6, 1, 2), np.float32), digests, twice)
    assert known.images["sha256"].tolist() == digests
    assert known.probabilities is not None
    assert known.probabilities[-1].tolist() == [0.95, 0.05], "the mean of the repeats"
    without = known_images(images, np.zeros((6, 1, 2), np.float32), digests, None)
    assert without.probabilities is None


def test_what_a_person_keeps_is_not_listed_again_and_decisions_are_handed_on() -> None:
    known = drawn()
    known.features[303] = known.features[10]
    known.features[50] = -9
    doubts = find_doubts(known, no_decisions())
    rows = to_be_decided(doubts, known.images, no_decisions())
    first = rows[rows["kind"] == NEAR]
    assert set(first["path"]) == {"b/010.png", "b/303.png"}
    assert set(rows["decision"]) == {""}
    kept = first.head(1).assign(decision="keep")
    again = find_doubts(known, kept)
    assert NEAR not in set(again["kind"])
    assert of_kind(again, FAR)["path"].tolist() == of_kind(doubts, FAR)["path"].tolist()
    assert again["rank"].tolist() == list(range(1, len(again) + 1))
    handed_on = to_be_decided(again, known.images, kept)
    assert handed_on.iloc[0]["decision"] == "keep"
    relabelled = kept.assign(decision="label:a", kind="")
    assert NEAR in set(find_doubts(known, relabelled)["kind"]), "a label is no answer to this"
    of_any_kind = kept.assign(sha256=known.images["sha256"].iloc[50], kind="")
    assert FAR not in set(find_doubts(known, of_any_kind)["kind"])


def test_neighbours_are_the_most_alike_of_other_groups() -> None:
    features = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]][:, None] + 0.01
    groups = ["x", "x", "y", "z", "w"]
    found = find_neighbours(features, groups, k=2)
    assert found.nearest[2, 0] == 3
    assert found.nearest[3, 0] == 2
    assert not {0, 1} & {*found.nearest[0]} - {0, 1} or found.likeness[0, 0] < 1
    far = distances(features, groups, k=1)
    assert far[2] == pytest.approx(0, abs=1e-6)
    assert far[0] > 0.9, "the other image of its own group does not count"
    assert np.isnan(distances(features, ["x"] * 5)).all()
