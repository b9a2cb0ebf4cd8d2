"""Score a network on test images with a part covered, beside the same images uncovered."""

from __future__ import annotations

import pandas as pd

from reports.evaluation.metrics import select
from reports.evaluation.sample import REPEAT, classes_of, read_sample

NOTHING = "nothing"
SCORES = select(["accuracy", "balanced_accuracy", "auroc"])


def score_covered(predictions: pd.DataFrame, covered: pd.DataFrame) -> pd.DataFrame:
    """Give each score of the test images with nothing and with each part covered: covered.csv.

    Of a cross-validation the first repeat counts, whose networks answered the covered images too.
    Columns: covered, figure, value, low, high (NaN where undefined), images, groups.
    """
    from reports.evaluation.evaluate import summarise  # needs SciPy, which a page does not

    classes, found = classes_of(predictions), []
    if REPEAT in predictions:
        predictions = predictions[predictions[REPEAT] == 1]
    tables = {NOTHING: predictions} | {str(name): of for name, of in covered.groupby("covered")}
    for name, table in tables.items():
        sample = read_sample(table, classes)
        scores = summarise(sample, SCORES, {})
        for metric in SCORES:
            low, high = scores[f"{metric.name}_ci95"] or (float("nan"), float("nan"))
            facts = {"covered": name, "figure": metric.name, "value": scores[metric.name]}
            facts |= {"low": low, "high": high}
            found.append({**facts, "images": len(sample), "groups": sample.group_count})
    return pd.DataFrame(found)
