"""What the page shows of a folder that was predicted."""

import json
from pathlib import Path

import pandas as pd
import pytest

from reports.prediction import summarise
from resnext.contracts.tables import read_rows
from tasks.publish import publish_predictions


@pytest.mark.usefixtures("prefect_server")
def test_the_page_lists_the_answers_and_says_how_many_were_called_what(tmp_path: Path) -> None:
    from tests.tasks.asking import of_key

    from prefect import flow
    from prefect.client.orchestration import get_client

    rows = [("a.png", "B", "0.1", "0.9", "ok", ""), ("b.png", "A", "0.51", "0.49", "ok", "")]
    rows += [("c.png", "B", "0.2", "0.8", "ok", ""), ("<b>.png", "", "", "", "error", "no picture")]
    columns = ["path", "predicted", "calibrated_A", "calibrated_B", "status", "error"]
    table = tmp_path / "batch_predictions.csv"
    pd.DataFrame(rows, columns=columns).assign(note="").to_csv(table, index=False)
    summary = summarise(read_rows(table), None)

    @flow
    def run() -> None:
        publish_predictions(summary, table)

    run()
    assert str(summary) == "4 images: A 1, B 2, 1 could not be read"
    with get_client(sync_client=True) as client:
        lists = client.read_artifacts(artifact_filter=of_key("predictions"))
    ours = [each for each in lists if str(table) in str(each.description)]
    (shown,) = ours
    assert shown.key == "predictions"
    assert json.loads(str(shown.data))[1:4:2] == [
        {"image": "b.png", "answer": "A 51.0 %"},
        {"image": "<b>.png", "answer": "no prediction: no picture"},
    ]
