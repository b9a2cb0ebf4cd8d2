"""A record in the list is all that a new metric needs, to be computed, compared and shown."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from reports.arrays import FloatArray, divide
from reports.evaluation import evaluate as evaluation
from reports.evaluation.intervals import share_interval
from reports.evaluation.metrics import CLASS_METRICS, METRICS, Metric, bootstrapped
from reports.evaluation.paired import difference, read_pair
from reports.evaluation.sample import Weighted
from reports.model_card import render_card
from reports.sections.score import terminal_rows
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
from tasks import publish
from tests.reports.evaluation.samples import clustered
from tests.reports.test_html import content, render

CLASSES = ["a", "b", "c"]


def kappa(counted: Weighted) -> FloatArray:
    by_chance = (counted.there * counted.given).sum(axis=1)
    right = counted.right.sum(axis=1)
    return divide(right * counted.total - by_chance, counted.total**2 - by_chance)


KAPPA = Metric(
    "kappa",
    "Kappa",
    "agreement beyond chance",
    "all images are of one class",
    kappa,
    bootstrapped,
    drawn=True,
    in_percent=False,
)
OVERLAP = Metric(
    "overlap",
    "Overlap",
    "the share of right answers among the images of the class or given it",
    "the class is neither there nor predicted",
    lambda counted: divide(counted.right, counted.there + counted.given - counted.right),
    lambda e: share_interval(e.sample.groups, e.hits & e.given, e.hits | e.given),
)


@pytest.fixture(autouse=True)
def recorded() -> Iterator[None]:
    METRICS.append(KAPPA)
    CLASS_METRICS.append(OVERLAP)
    yield
    METRICS.remove(KAPPA)
    CLASS_METRICS.remove(OVERLAP)


def test_a_metric_of_one_new_record_is_computed_compared_and_shown(tmp_path: Path) -> None:
    table = clustered(CLASSES, 40, seed=1)
    evaluation.write(evaluation.evaluate(table), tmp_path)
    metrics = read_json(tmp_path / "metrics.json")
    per_class = read_table(tmp_path / "per_class.csv")
    low, high = metrics["kappa_ci95"]
    expected = reference.cohen_kappa_score(table["label"], table["predicted"])
    assert metrics["kappa"] == pytest.approx(expected)
    assert low < metrics["kappa"] < high
    overlaps = reference.jaccard_score(table["label"], table["predicted"], average=None)
    np.testing.assert_allclose(per_class["overlap"], overlaps)
    assert (per_class["overlap_low"] < per_class["overlap_high"]).all()
    assert difference(*read_pair(table, table), KAPPA).value == 0
    found = content(CLASSES, metrics=metrics, per_class=per_class)
    page = render(classes=CLASSES, metrics=metrics, per_class=per_class).text
    bounds = f"{low:.3f} to {high:.3f}"
    assert f"Kappa {metrics['kappa']:.3f} 95 %: {bounds} agreement beyond chance" in page
    assert (
        "Overlap: the share of right answers among the images of the class or given it; n/a" in page
    )
    card = render_card(found, "resnext50_32x4d")
    summary = publish.summary("name", found, tmp_path)
    for text in (card, summary):
        assert f"| Kappa | {metrics['kappa']:.3f} | {bounds} |" in text
    assert "overlap" in terminal_rows(per_class)[0]
    assert "Overlap" in publish.per_class_rows(per_class)[0]
