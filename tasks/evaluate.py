"""Evaluate predictions: every figure with its interval, calibration, tables for figures."""

import logging
from typing import Annotated

from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.tables import read_predictions
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)


@stage(run_name="evaluate on test", registered=("calibration.json", "metrics.json"))
def evaluate(
    work: Work,
    predictions: Annotated[Artifact, Reads("predictions.csv")],
    settings: EvaluationSettings,
) -> None:
    """Write what is known of the test part, and calibration.json from the val part.

    per_class.csv, confusion.csv and metrics.json; roc.csv, precision_recall.csv, reliability.csv,
    class_reliability.csv, calibration_curve.csv, net_benefit.csv, confidences.csv and
    risk_coverage.csv, which figures are drawn from.
    """
    from reports.evaluation import evaluate as evaluation

    found = evaluation.evaluate(read_predictions(predictions.path("predictions.csv")), settings)
    evaluation.write(found, work.out)
    for line in filter(None, (found.calibration.describe(), found.limits.describe())):
        log.info(line)
