"""Give how much each image moves a score of the whole sample, (N,): its influence.

The influence of an image is the change of the score, to first order, when the image counts a
little more. The influences of all images add up to 0; `intervals` makes an interval from them.
Nothing is defined for a sample that makes the score itself undefined.
Source: Hampel 1974, https://doi.org/10.1080/01621459.1974.10482962
"""

from __future__ import annotations

import numpy as np

from reports.arrays import FloatArray
from reports.evaluation.ranking import placements
from reports.evaluation.sample import Sample
from reports.evaluation.weighted import weigh


def of_recall(sample: Sample) -> FloatArray:
    """Give how much each image moves the recall of its own class; it moves no other."""
    counts = np.maximum(weigh(sample).there[0], 1)
    recalls = weigh(sample).right[0] / counts
    influence: FloatArray = (sample.right - recalls[sample.true]) / counts[sample.true]
    return influence


def of_macro_f1(sample: Sample) -> FloatArray:
    """Give how much each image moves the mean F1 of the classes that are there or predicted."""
    f1, mentions = _f1(sample)
    of_true = (2 * sample.right - f1[sample.true]) / mentions[sample.true]
    of_predicted = f1[sample.predicted] / mentions[sample.predicted]
    influence: FloatArray = (of_true - of_predicted) / (mentions > 0).sum()
    return influence


def of_weighted_f1(sample: Sample) -> FloatArray:
    """Give how much each image moves the mean F1 that is weighted by the classes' images."""
    f1, mentions = _f1(sample)
    shares = weigh(sample).there[0] / len(sample)
    per_mention = shares / np.maximum(mentions, 1)
    of_true = (2 * sample.right - f1[sample.true]) * per_mention[sample.true]
    of_predicted = f1[sample.predicted] * per_mention[sample.predicted]
    of_weight = (f1[sample.true] - shares @ f1) / len(sample)
    influence: FloatArray = of_true - of_predicted + of_weight
    return influence


def of_mcc(sample: Sample) -> FloatArray:
    """Give how much each image moves Matthews' correlation (see `metrics.mcc`)."""
    counted, n, rights = weigh(sample), len(sample), sample.right.sum()
    there, given = counted.there[0], counted.given[0]
    together = rights * n - there @ given
    of_true, of_given = n**2 - there @ there, n**2 - given @ given
    spread = np.sqrt(of_true * of_given)
    gained = sample.right * n + rights - given[sample.true] - there[sample.predicted]
    widened = (n - there[sample.true]) / of_true + (n - given[sample.predicted]) / of_given
    influence: FloatArray = (gained - together * widened) / spread
    return influence


def of_auroc(sample: Sample, place: int) -> FloatArray:
    """Give how much each image moves the AUROC of one class against the rest.

    It is the share of the other side that stands where it should beside the image. Added up by
    group this is the variance of DeLong, and for clusters that of Obuchowski.
    Source: DeLong et al. 1988, https://doi.org/10.2307/2531595
    Source: Obuchowski 1997, https://doi.org/10.2307/2533958
    """
    hits = sample.true == place
    placed = placements(sample.probabilities[:, place], hits)
    influence: FloatArray = (placed - placed[hits].mean()) / np.where(
        hits, hits.sum(), (~hits).sum()
    )
    return influence


def _f1(sample: Sample) -> tuple[FloatArray, FloatArray]:
    """Give each class's F1, 0 where undefined, and how often it is true or predicted, (C,)."""
    counted = weigh(sample)
    mentions = (counted.there + counted.given)[0]
    return 2 * counted.right[0] / np.maximum(mentions, 1), mentions
