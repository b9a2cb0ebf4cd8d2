import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest

from reports.sections.figures import data_uri
from resnext.contracts.tables import read_table
from tasks import publish
from tasks.stage.artifact import Artifact
from tests.reports.test_html import content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "per_class.csv").write_text(
        "class,support,precision,precision_low,precision_high,recall,recall_low,recall_high,"
        "specificity,specificity_low,specificity_high,f1,f1_low,f1_high,auroc,auroc_low,auroc_high,"
        "average_precision,average_precision_low,average_precision_high\n"
        "NA,3,,,,0.0,0.0,0.7076,1.0,0.3976,1.0,,,,0.5,,,,,\n"
        '"a, b",4,0.5,0.25,0.754,1.0,0.3976,1.0,0.25,0.1,0.5,0.6666666666666666,0.4,0.8,'
        "0.5,0.2,0.9,0.4,0.1,0.8\n",
        encoding="utf-8",
    )
    metrics = {"n": 7, "groups": 4, "accuracy": 4 / 7, "accuracy_ci95": [0.25, 0.8], "auroc": None}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "report.html").write_text("<html>")
    (tmp_path / "timing.csv").write_text("epoch,seconds,images_per_second,finished_at\n")
    return tmp_path


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def artifact(folder: Path) -> Artifact:
    return Artifact(stage="s", key="k", folder=folder, files={p.name: "" for p in folder.iterdir()})


def test_the_table_is_for_people_and_what_is_undefined_is_not_zero(folder: Path) -> None:
    rows = publish.per_class_rows(read_table(folder / "per_class.csv"))
    assert [{name: plain(cell) for name, cell in row.items()} for row in rows] == [
        {
            "class": "NA", "images": "3", "Precision": "n/a", "Recall": "0.0 % (0 to 71 %)",
            "Specificity": "100.0 % (40 to 100 %)", "F1": "n/a", "AUROC": "0.500",
            "Average precision": "n/a",
        },
        {
            "class": "a, b", "images": "4", "Precision": "50.0 % (25 to 75 %)",
            "Recall": "100.0 % (40 to 100 %)", "Specificity": "25.0 % (10 to 50 %)",
            "F1": "66.7 % (40 to 80 %)", "AUROC": "0.500 (0.20 to 0.90)",
            "Average precision": "0.400 (0.10 to 0.80)",
        },
    ]  # fmt: skip


def summary(folder: Path, **changes: Any) -> str:
    metrics = json.loads((folder / "metrics.json").read_text()) | {"majority_accuracy": 3 / 7}
    table = read_table(folder / "per_class.csv").assign(precision=[0.25, 0.5])  # two answers
    given = {"metrics": metrics, "per_class": table} | changes
    return plain(publish.summary("pictures", content(["NA", "a, b"], **given), folder / "r.html"))


def test_the_summary_holds_the_score_the_figures_and_the_way_to_the_report(folder: Path) -> None:
    text = summary(folder)
    assert "| Accuracy | 57.1 % | 25.0 % to 80.0 % |" in text
    assert "| AUROC | n/a | n/a |" in text
    assert "of 7 test images of 4 groups. 95 % interval: 25.0 % to 80.0 %." in text
    assert f"![Learning curves]({data_uri(content().figures['curves'])})" in text
    assert f"`{folder / 'r.html'}`" in text


def test_the_summary_says_what_the_head_of_the_report_says(folder: Path) -> None:
    leaks = {"drawn": {"any": {"count": 2, "share": 2 / 7}}}
    parts = summary(folder, leakage=leaks).split("\n\n")
    assert parts[1].startswith("Right on **57.1 %** of 7 test images")
    assert parts[2].startswith("14.2 percentage points above always answering “a, b” (42.9 %)")
    assert parts[3] == (
        "**2 test images (28.6 %) have relatives in train: the score is too good to be believed "
        "for new groups.**"
    )
    assert parts[4] == "## What to do next"
    assert parts[5].endswith("`--split grouped` keeps each group on one side.")
    assert "## To be read with the score\n\n* Read this first." in "\n\n".join(parts)


def test_the_summary_warns_of_synthetic_images_and_says_how_probabilities_are(
    folder: Path,
) -> None:
    unfitted = {"fitted_on": None, "reason": "no validation part"}
    text = summary(folder, synthetic=True, calibration=unfitted)
    assert text.split("\n\n")[1].startswith("**Synthetic data.**")
    assert "Probabilities are not calibrated: no validation part." in text
    assert "Synthetic" not in summary(folder)


def test_the_classes_of_a_summary_fit_a_page_and_no_interval_is_broken(folder: Path) -> None:
    table = publish.class_table(read_table(folder / "per_class.csv")).splitlines()
    assert table == [
        "| class | images | Precision | Recall | F1 |",
        "| --- | --: | --: | --: | --: |",
        "| NA | 3 | n/a | 0.0\u00a0%\u00a0(0-71) | n/a |",
        "| a, b | 4 | 50.0\u00a0%\u00a0(25-75) | 100.0\u00a0%\u00a0(40-100) "
        "| 66.7\u00a0%\u00a0(40-80) |",
    ]


def test_a_hundred_classes_have_a_table_of_their_own_alone(folder: Path) -> None:
    many = read_table(folder / "per_class.csv").loc[[0, 1] * 50]
    assert publish.class_table(many) == "The artifact per-class holds them."


@pytest.mark.usefixtures("prefect_server")
def test_a_flow_run_gets_its_artifacts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
    from prefect.runtime import flow_run

    monkeypatch.setattr(publish, "content_of", content)
    everything = artifact(folder)

    @flow
    def run() -> str:
        publish.publish("pictures", everything, everything)
        return str(flow_run.id)

    ours = run()
    of_this_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(ours)]))
    with get_client(sync_client=True) as client:
        found = {each.key: each for each in client.read_artifacts(artifact_filter=of_this_run)}
    assert set(found) == {"per-class", "report", "summary"}
    assert f"`{folder / 'report.html'}`" in str(found["report"].data)


def test_the_summary_says_when_the_network_was_trained_and_for_how_long() -> None:
    ended = ["2026-11-27T03:00:00Z", "2026-11-27T03:01:30Z"]
    timing = pd.DataFrame({"epoch": [1, 2], "seconds": [60.0, 90.0], "finished_at": ended})
    assert publish.trained(timing) == "Trained in 2.5 minutes, until 2026-11-27 03:01 UTC.\n"
    assert publish.trained(timing.head(0)) == ""
