"""Find labels that a network, which was trained without the image, does not believe.

Source: Northcutt, Jiang and Chuang 2021, https://doi.org/10.1613/jair.1.12125 (confident learning:
an image counts where a class is at least as likely as it is in the mean for the images of that
class; those counted for another class than their own are doubtful). It is the method
`confident_learning` of cleanlab 2.9, with whose results the tests compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from resnext.data.split.draw import place

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

FOLDS = 5
COMPONENTS = 256  # that an image is described by
PENALTY = 1000.0  # of the squared weights: there are more features than images
STEPS = 100
FLAT = 1e-6
ROUNDING = 1e-6  # by which a probability may miss its class's mean


def confident_labels(labels: Numbers, probabilities: Floats) -> Numbers:
    """Give the class (N,) that each image counts for by its out-of-fold probabilities (N, C).

    It is -1 where an image counts for none.
    """
    classes = range(probabilities.shape[1])
    of_class = [probabilities[labels == each, each] for each in classes]
    usual = np.array([each.mean() if len(each) else np.inf for each in of_class])
    confident = probabilities >= usual - ROUNDING
    among = np.where(confident, probabilities, -1)
    found: Numbers = np.where(confident.any(axis=1), among.argmax(axis=1), -1)
    return found


def doubtful_labels(labels: Numbers, probabilities: Floats) -> Numbers:
    """Give the rows whose label is doubtful, those first that believe least in their own class.

    A row whose likeliest class is its own is in no doubt.
    """
    counted = confident_labels(labels, probabilities)
    other = (counted >= 0) & (counted != labels) & (probabilities.argmax(axis=1) != labels)
    own = probabilities[np.arange(len(labels)), labels]
    rows = np.flatnonzero(other)
    ordered: Numbers = rows[np.argsort(own[rows], kind="stable")]
    return ordered


def out_of_fold(
    features: npt.NDArray[np.float32], labels: Numbers, groups: Sequence[str], seed: int = 0
) -> Floats:
    """Predict each image (N, F) by a logistic regression on other groups: probabilities (N, C).

    The groups are put into folds class by class, as those of a cross-validation. Of a single group
    nothing can be predicted: NaN.
    """
    units = pd.DataFrame({"unit": list(groups), "label": labels.astype(str)})
    folds = min(FOLDS, units["unit"].nunique())
    shares = {str(number): 1 / folds for number in range(folds)}
    fold = units["unit"].map(place(units, shares, seed)).to_numpy()
    classes, scores = int(labels.max()) + 1, principal(torch.from_numpy(features))
    found, known = np.full((len(labels), classes), np.nan), torch.from_numpy(labels)
    for number in shares if folds > 1 else ():
        held_out = torch.from_numpy(fold == number)
        weights = fit_logistic(scores[~held_out], known[~held_out], classes)
        found[fold == number] = predict_logistic(weights, scores[held_out]).numpy()
    return found


def principal(features: Tensor, most: int = COMPONENTS) -> Tensor:
    """Give the principal components (N, at most `most`), float64, of standardised features."""
    deviation, mean = torch.std_mean(features, dim=0, correction=0)
    scaled = (features - mean) / torch.where(deviation > FLAT, deviation, 1)
    turned, sizes, _ = torch.linalg.svd(scaled, full_matrices=False)
    scores: Tensor = (turned * sizes)[:, :most].double()
    return scores


def fit_logistic(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Fit a multinomial logistic regression: weights (F + 1, C), the last row is the intercept."""
    weights = torch.zeros(features.shape[1] + 1, classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        logits = features @ weights[:-1] + weights[-1]
        wrong = cross_entropy(logits, labels, reduction="sum")
        value = wrong + PENALTY / 2 * (weights[:-1] ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()


def predict_logistic(weights: Tensor, features: Tensor) -> Tensor:
    """Give probabilities (N, C)."""
    return (features @ weights[:-1] + weights[-1]).softmax(dim=1)
