"""The page of a batch shows every file with its answer, and asks the network for nothing."""

from pathlib import Path

import pandas as pd

from reports.batch import BatchContent, render_batch, worth_of_probabilities
from reports.prediction import BatchSummary
from resnext.contracts.tables import write_table
from tasks.show_predictions import PAGE, AboutBatch, show_predictions
from tasks.stage.artifact import Artifact, Runtime

THUMB = "data:image/jpeg;base64,AAAA"


def test_the_page_shows_every_file_with_its_answer(tmp_path: Path) -> None:
    shares = {"calibrated_A": [0.2, None, 0.9], "calibrated_B": [0.8, None, 0.1]}
    rows = pd.DataFrame({
        "path": ["a.png", "<b>.png", "c.png"], "predicted": ["B", "", "A"], **shares,
        "status": ["ok", "error", "ok"], "error": ["", "empty <file>", ""],
        "unlike_training": [0.99, None, 0.5],
        "note": ["", "", "truncated: what is missing is grey"],
    })  # fmt: skip
    write_table(rows, tmp_path / "batch_predictions.csv")
    small = pd.DataFrame({"path": rows["path"], "thumbnail": [THUMB, "", "https://evil.example/x"]})
    write_table(small, tmp_path / "batch_thumbnails.csv")
    one = Artifact.of_file(tmp_path / "batch_predictions.csv")
    both = one.model_copy(
        update={"stage": "predict", "files": {**one.files, "batch_thumbnails.csv": "2"}}
    )
    about = AboutBatch(
        data_name="inbox", temperature=1.25, fitted_on="val", positive=None, threshold=None,
        facts=(("Network", "resnext50_32x4d at 224 px"),), command="predict.py inbox",
    )  # fmt: skip
    made = show_predictions.fn(Runtime(store=tmp_path / "store"), both, about)
    page = made.path(PAGE).read_text(encoding="utf-8")
    assert "3 files of" in page
    assert "of which 1 could not be read" in page
    assert "Probabilities are calibrated (temperature 1.25)." in page
    assert "medical" not in page, "A and B name no disease"
    assert page.count(THUMB) == 1
    assert "evil.example" not in page
    assert "&lt;b&gt;.png" in page
    assert "empty &lt;file&gt;" in page
    assert 'data-rank="0.8"' in page
    assert "1 image: truncated: what is missing is grey" in page
    assert "resnext50_32x4d at 224 px" in page
    assert "This page shows 1 image of the data." in page
    without = show_predictions.fn(
        Runtime(store=tmp_path / "store"), both, about.model_copy(update={"pictures": False})
    )
    page = without.path(PAGE).read_text(encoding="utf-8")
    assert "data:image" not in page
    assert "a.png" in page
    assert "refer" not in page.replace("prefers-color-scheme", "").replace("referrer", "")
    careful = about.model_copy(
        update={"max_error": 0.1, "refer_below": 0.85, "set_level": 0.9, "set_from": 0.15}
    )
    made = show_predictions.fn(Runtime(store=tmp_path / "store"), both, careful)
    page = made.path(PAGE).read_text(encoding="utf-8")
    assert "1 image is referred: no answer is given" in page
    assert '<strong>refer</strong><span class="small">likeliest: B</span>' in page
    assert "possible: B, A" in page
    assert "<strong>1 of 2 images is unlike the training images.</strong>" in page
    assert page.count('<span class="disagree">unlike the training images</span>') == 1


def test_answers_that_name_a_disease_are_no_diagnosis() -> None:
    row = {"path": "a.png", "predicted": "nevus", "calibrated_nevus": "1", "status": "ok"}
    content = BatchContent(
        "inbox", [row | {"note": "", "thumbnail": ""}], {}, BatchSummary(), {}, ""
    )
    assert "This is not a medical device." in render_batch(content)


def test_a_temperature_that_was_not_fitted_calibrates_nothing() -> None:
    unfitted = {"temperature": 1.0, "fitted_on": None, "reason": "27 groups, fewer than 60"}
    assert worth_of_probabilities(unfitted) == (
        "Probabilities are not calibrated: 27 groups, fewer than 60."
    )
    assert worth_of_probabilities({}) == "Probabilities are not calibrated."
