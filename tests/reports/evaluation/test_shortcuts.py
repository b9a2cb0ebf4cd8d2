"""The audit of cues: it finds what was planted, and nothing where there is nothing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.evaluation.covered import score_covered
from reports.evaluation.evaluate import evaluate
from reports.evaluation.ranking import placements, placements_by_class
from reports.evaluation.shortcuts import CUES, SAME, TOGETHER, TOO_FEW, above_chance, find_shortcuts
from reports.sections import shortcuts as words
from tests.reports.evaluation.samples import clustered

NUMBERS = [name for columns in CUES.values() for name in columns if name != "format"]


def cues(groups: int = 150, classes: int = 2, seed: int = 0) -> pd.DataFrame:
    """Cues that say nothing of the class, in five folds of whole groups of 1 to 3 images."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(1, 4, groups))
    table = pd.DataFrame({"path": [str(n) for n in range(len(group))]})
    table["label"] = [f"c{n % classes}" for n in group]
    table["group"] = [f"g{n}" for n in group]
    table["fold"] = group // classes % 5 + 1
    for name in NUMBERS:
        table[name] = rng.normal(size=groups)[group] + rng.normal(size=len(group))
    table["format"] = rng.choice(["JPEG", "PNG"], len(group))
    return table


def by_cue(found: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    return {row["cue"]: row for row in found.to_dict("records")}


def test_a_planted_border_colour_is_found_and_no_other_cue() -> None:
    table = cues()
    table["border_red"] += 6 * (table["label"] == "c1")
    found = find_shortcuts(table)
    assert by_cue(found)["colour of the border"]["auroc"] > 0.95
    assert set(above_chance(found)["cue"]) == {"colour of the border", TOGETHER}
    (warning,) = words.warnings(found)
    assert "colour of the border alone has an AUROC of 1.000 (95\u00a0%: 0.9" in warning
    assert words.verdict(found) == warning


def test_a_cue_of_which_the_middle_tells_the_class_is_found() -> None:
    table = cues()
    inside = table["brightness"].abs() < 0.9
    table["label"] = np.where(inside, "c1", "c0")
    table["group"] = table["path"]
    assert by_cue(find_shortcuts(table))["brightness"]["auroc"] > 0.9


@pytest.mark.parametrize("classes", [2, 9])
def test_where_no_cue_tells_the_class_every_interval_covers_chance(classes: int) -> None:
    found = find_shortcuts(cues(180, classes))
    assert ((found["auroc_low"] < 0.5) & (found["auroc_high"] > 0.5)).all()
    assert words.warnings(found) == []
    assert words.verdict(found).startswith("No cue tells the class better than chance.")


def test_without_a_shortcut_the_auroc_is_chance_on_average_and_its_interval_nearly_always() -> None:
    found = pd.concat(find_shortcuts(cues(60, seed=seed)) for seed in range(12))
    held = (found["auroc_low"] <= 0.5) & (found["auroc_high"] >= 0.5)
    assert held.mean() > 0.92
    assert found["auroc"].mean() == pytest.approx(0.5, abs=0.03)


def test_the_auroc_is_that_of_pairs_within_folds() -> None:
    table = cues(40)
    for name in NUMBERS[1:]:
        table[name] = 1.0
    table["format"] = "JPEG"
    # in each fold half of the images of a class lie where the other class has none
    table["brightness"] = np.where(table["label"] == "c0", 0, np.arange(len(table)) % 2)
    found = by_cue(find_shortcuts(table))["brightness"]
    pairs, area = 0, 0.0
    for _, fold in table.groupby("fold"):
        ours, others = (fold["label"] == "c1").sum(), (fold["label"] == "c0").sum()
        high = fold.loc[fold["label"] == "c1", "brightness"].sum()
        pairs, area = pairs + ours * others, area + others * (high + (ours - high) / 2)
    assert found["auroc"] == pytest.approx(area / pairs)


def test_a_cue_that_is_the_same_in_all_images_has_no_number() -> None:
    table = cues().assign(format="JPEG", jpeg_quality=np.nan, megapixels=1.0)
    found = by_cue(find_shortcuts(table))
    for name in ("file format", "JPEG quality", "image size"):
        assert found[name]["note"] == SAME
        assert np.isnan(found[name]["auroc"])
    assert found["brightness"]["note"] == ""


def test_a_missing_quality_may_tell_the_class() -> None:
    table = cues()
    table.loc[table["label"] == "c1", "jpeg_quality"] = np.nan
    assert by_cue(find_shortcuts(table))["JPEG quality"]["auroc"] > 0.95


@pytest.mark.parametrize(
    "table", [cues(8), cues(60, 1), cues().assign(fold=np.nan), cues()[:0]], ids=str
)
def test_few_groups_are_said_instead_of_a_number(table: pd.DataFrame) -> None:
    found = find_shortcuts(table)
    assert set(found["note"]) == {TOO_FEW}
    assert found["auroc"].isna().all()
    assert "too few groups" in words.in_a_line(found)
    assert words.verdict(found) == "No cue could be tested: too few groups."


@pytest.mark.parametrize("classes", [2, 4])
def test_placements_of_all_classes_at_once_are_those_of_each(classes: int) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 6, (60, classes)).astype(float)  # many are equal
    true = rng.integers(classes, size=60)
    placed, pairs = placements_by_class(scores, true)
    for index in range(classes):
        hits = true == index
        assert placed[:, index] == pytest.approx(placements(scores[:, index], hits))
        assert pairs[index] == hits.sum() * (~hits).sum()


def test_covered_images_stand_beside_the_same_images_uncovered() -> None:
    plain = clustered(["a", "b"], 60, 0)
    wrong = plain.assign(predicted=plain["label"].map({"a": "b", "b": "a"}))
    both = [plain.assign(covered="border"), wrong.assign(covered="centre")]
    again = pd.concat([plain.assign(repeat=1, fold=1), wrong.assign(repeat=2, fold=1)])
    metrics = evaluate(plain).metrics
    for predictions in (plain, again):
        found = score_covered(predictions, pd.concat(both))
        values = found.set_index(["covered", "figure"])["value"]
        assert values["nothing", "accuracy"] == values["border", "accuracy"] == metrics["accuracy"]
        assert values["centre", "accuracy"] == 0
        assert values["centre", "auroc"] == values["nothing", "auroc"] == metrics["auroc"]
    assert "AUROC of 0." in words.covered_verdict(found)
    area = (found["covered"] == "centre") & (found["figure"] == "auroc")
    found.loc[area, ["value", "low", "high"]] = 0.62, 0.37, 0.87
    said = words.covered_verdict(found).replace("\u00a0", " ")
    assert "an AUROC of 0.620 (95 %: 0.370 to 0.870) and is right on 0.0 %. The interval" in said
    assert "reaches down to chance (0.5), so nothing shows" in said
    assert [row["name"] for row in words.covered_rows(found)] == [
        "Nothing", "The centre", "The border",
    ]  # fmt: skip
