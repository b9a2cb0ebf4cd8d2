"""What a report holds for a paper: paragraphs, checklists, references."""

import tomllib
from itertools import groupby
from typing import Any

import pandas as pd
import pytest
import yaml

from reports.checklists import CHECKLISTS, CLAIM, TRIPOD, filled_in
from reports.references import references
from reports.sections import paper
from tests.conftest import REPOSITORY
from tests.reports.sections.test_images import known
from tests.reports.test_html import EVIL, METRICS, PAIR, content, render, scores

POINT = {
    "positive": "Monkeypox", "threshold": 0.5, "sensitivity": 0.8, "sensitivity_ci95": [0.7, 0.9],
    "specificity": 0.6, "specificity_ci95": None,
}  # fmt: skip
TRAINED = {
    "Training": {
        "--arch": "resnext50_32x4d", "--epochs": "30", "--image-size": "224", "--batch-size": "32",
        "--optimizer": "adamw", "--lr": "0.001", "--weights": "none", "--method": "network",
    }
}  # fmt: skip


def test_the_checklists_have_the_official_numbers() -> None:
    """TRIPOD+AI has 27 items in 52 parts, CLAIM 2024 has 44 items."""
    numbers = (each.number.rstrip("abcdefg") for each in TRIPOD.items)
    parts = {number: len([*of]) for number, of in groupby(numbers)}
    assert list(parts) == [str(number) for number in range(1, 28)]
    assert len(TRIPOD.items) == 52
    several = {"3": 3, "5": 2, "6": 3, "8": 3, "9": 3, "12": 7, "18": 6, "20": 3, "23": 2, "27": 3}
    assert {number: n for number, n in parts.items() if n > 1} == several
    assert [each.number for each in CLAIM.items] == [str(number) for number in range(1, 45)]


def test_each_item_points_to_a_section_that_is_there_or_says_that_the_author_must() -> None:
    for given in (None, known(layer=None, cells=0)):
        page = render(explained=given)
        ids = {str(found["id"]) for tag, found in page.tags if tag == "h2"}
        lists = filled_in(content(explained=given))
        assert {row["at"] for each in lists for row in each["items"]} <= ids | {""}
    for each in lists:
        left = [row for row in each["items"] if not row["at"]]
        assert all(row["says"] == "The author must say." for row in left)
        assert each["answered"] == len(each["items"]) - len(left)
        assert f"{each['name']}: {each['answered']} of {len(each['items'])} items" in page.text


def test_what_a_run_has_not_made_answers_no_item() -> None:
    def answers(**given: Any) -> dict[str, bool]:
        lists = filled_in(content(**given))
        return {
            f"{e['name'][0]}{row['number']}": bool(row["at"]) for e in lists for row in e["items"]
        }

    maps = known(cells=4)
    without = answers(explained=known(cells=3))
    assert not any(without[number] for number in ("C31", "C43", "T24"))
    assert without["C39"], "mistakes are listed without a map too"
    made = answers(explained=maps, calibration={"fitted_on": "val", "temperature": 2.0, "n": 90})
    assert made["C31"]
    assert made["T24"]
    assert not answers(explained=maps, pictures=False)["C31"]
    cited = {each.what for each in references(content(explained=maps))}
    coarse = {each.what for each in references(content(explained=known(cells=3)))}
    assert cited - coarse == {"heat maps"}


def test_checklists_for_medicine_are_for_medical_images_alone() -> None:
    assert len(filled_in(content())) == len(CHECKLISTS)
    assert filled_in(content(domain="general")) == []
    assert "Checklists" not in render(domain="general").text


def test_the_methods_say_how_it_was_split_trained_and_tested() -> None:
    leakage = {"strategy": "grouped", "near": {"joined_pairs": 3}}
    calibration = {"fitted_on": "val", "temperature": 1.5, "n": 80}
    given = content(
        settings=TRAINED, leakage=leakage, calibration=calibration, architecture="resnext50_32x4d"
    )
    said = paper.methods(given)
    for words in (
        "The data were 3 images of 2 classes (Monkeypox, Others); 1 file could not be used.",
        "train (2 images of 1 group), validation (1 image of 1 group), test (1 image of 1 group); "
        "1 image stayed unused.",
        "All images of a group were kept in one part. Identical files and near-duplicates",
        "A resnext50_32x4d was trained from random weights for 30 epochs with images of 224 px, "
        "batches of 32, the optimizer adamw, a learning rate of 0.001.",
        "calibrated by a temperature (1.50) that was fitted on the validation part.",
        "take the group as the unit of chance",
    ):
        assert words in said
    folds = {"folds": 5, "repeats": 2}
    of_folds = paper.methods(content(metrics=METRICS | {"folds": folds}))
    assert "divided into 5 folds, 2 times with other folds; each was tested once" in of_folds
    assert "Probabilities were not calibrated." in of_folds


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ({"guessed": True, "evidence": "names"}, "guessed from the names of files and folders."),
        (
            {"unknown": 3, "names": 9},
            "The groups of 3 images were not known; each such image counted as a group of its own.",
        ),
        ({"groups_known": True}, ""),
    ],
)
def test_the_methods_say_what_the_groups_rest_on(scheme: dict[str, Any], words: str) -> None:
    leakage = {"strategy": "grouped", "scheme": {"name": None, "groups_known": False} | scheme}
    said = paper.methods(content(leakage=leakage))
    assert words in said
    assert ("The groups" in said) == bool(words)


def test_a_probe_is_trained_on_the_originals_of_train_and_validation() -> None:
    """Of six images one is a copy, and twice two are the same file: three are left."""
    paths = [f"{name}.jpg" for name in "abcdefg"]
    split = pd.DataFrame({
        "path": paths, "label": ["a", "b"] * 3 + ["a"], "group": paths,
        "copy": [0, 1, None, 0, 0, 0, 0], "split": ["train"] * 4 + ["val"] * 2 + ["test"],
        "reason": "",
    })  # fmt: skip
    manifest = pd.DataFrame({"path": paths, "sha256": [*"12344", "3", "7"]})
    made = {"Training": TRAINED["Training"] | {"--method": "probe", "--weights": "bundled (I), l"}}
    given = content(split=split, manifest=manifest, settings=made, architecture="efficientnet_b0")
    assert paper.training(given).startswith(
        "Heads on a frozen efficientnet_b0 with ImageNet weights were trained for 30 epochs"
    )
    assert paper.training(given).endswith(
        "on the 3 originals of the train and validation parts; this method chooses nothing by a "
        "validation part."
    )


def test_the_results_give_each_measure_with_its_interval() -> None:
    metrics = METRICS | {"accuracy_ci95": [0.5, 0.65], "operating_point": POINT, "macro_f1": None}
    table = scores(["Monkeypox", "Others"], recall=[0.9, 0.25])
    said = paper.results(content(metrics=metrics, per_class=table)).replace("\u00a0", " ")
    for words in (
        "On 428 test images of 31 groups the network was right on 57.8 % (95 % interval 50.0 % to "
        "65.0 %). Always answering “Monkeypox” would have been right on 55.6 %.",
        "Balanced accuracy was 41.9 %; AUROC was 0.612; log loss was 0.700.",
        "Recall by class went from 25.0 % (“Others”, 3 images) to 90.0 % (“Monkeypox”, 3 images).",
        "For “Monkeypox” from a probability of 0.500 on, sensitivity was "
        "80.0 % (95 % interval 70.0 % to 90.0 %) and specificity was 60.0 %.",
    ):
        assert words in said
    assert "Macro F1" not in said, "what is undefined is left out"
    empty = dict.fromkeys(METRICS, None) | {"n": 0}
    assert paper.results(content(metrics=empty)) == "No test image could be evaluated."


@pytest.mark.parametrize(
    ("arch", "first"),
    [
        ("resnext50_32x4d", "Xie S"), ("tf_efficientnet_lite2", "Tan M"),
        ("densenet121", "Huang G"),
        ("resnetv2_50", "He K"), ("convnext_tiny", "Liu Z"), ("other", "Loshchilov I"),
    ],
)  # fmt: skip
def test_the_papers_of_the_methods_used_are_named(arch: str, first: str) -> None:
    papers = [each.paper for each in references(content(architecture=arch, settings=TRAINED))]
    assert papers[0].startswith(first)
    assert not [each for each in papers if "Grad-CAM" in each], "nothing was explained"
    assert all("doi:" in each or "arXiv:" in each for each in papers)


def test_names_in_the_paragraphs_are_text() -> None:
    page = render(classes=[EVIL, "b"], pairs={"joined": [PAIR]})
    assert EVIL in page.text
    assert [tag for tag, _ in page.tags].count("script") == 1


def test_the_citation_file_names_this_version() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (cited["title"], cited["version"]) == (project["name"], project["version"])
    assert cited["license"] == project["license"]
