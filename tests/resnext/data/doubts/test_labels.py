"""Doubtful labels are those of cleanlab, and the quick model is scikit-learn's regression."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from resnext.data.doubts.labels import (
    PENALTY,
    confident_labels,
    doubtful_labels,
    fit_logistic,
    out_of_fold,
    predict_logistic,
    principal,
)

# Of cleanlab 2.9.0, in an environment of its own, for the labels and p of `answers`:
#   find_label_issues(labels, p, filter_by="confident_learning",
#                     return_indices_ranked_by="self_confidence", n_jobs=1)
OF_CLEANLAB = [170, 114, 138, 132, 144, 60, 11, 79, 135, 29, 121, 56, 86, 12, 100, 80, 30, 104]
OF_CLEANLAB += [7, 147, 115, 195]


def answers() -> tuple[np.ndarray, np.ndarray]:
    """Draw 200 labels of 3 classes, 12 % of them wrong, and probabilities that know better."""
    draw, n, c = np.random.default_rng(5), 200, 3
    true = draw.integers(0, c, n)
    labels, wrong = true.copy(), draw.random(n) < 0.12
    labels[wrong] = (labels[wrong] + 1) % c
    logits = draw.normal(size=(n, c))
    logits[np.arange(n), true] += 2.5
    shares = np.exp(logits)
    return labels, shares / shares.sum(axis=1, keepdims=True)


def test_doubtful_labels_are_those_of_cleanlab_in_its_order() -> None:
    assert doubtful_labels(*answers()).tolist() == OF_CLEANLAB


def test_an_image_counts_for_a_class_that_is_as_likely_as_is_usual_there() -> None:
    shares = np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7], [0.8, 0.2]])
    labels = np.array([0, 0, 1, 1])  # usual: 0.7 for class 0, and 0.45 for class 1
    assert confident_labels(labels, shares).tolist() == [0, 1, 1, 0]
    assert doubtful_labels(labels, shares).tolist() == [3], "the second one's own is as likely"


def test_the_quick_model_is_the_regression_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(60, 8)), draw.integers(0, 3, 60)
    features[np.arange(60), labels] += 2
    weights = fit_logistic(torch.from_numpy(features), torch.from_numpy(labels), 3)
    known = LogisticRegression(C=1 / PENALTY, tol=1e-8, max_iter=1000).fit(features, labels)
    found = predict_logistic(weights, torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(found, known.predict_proba(features), atol=1e-4)


def test_components_keep_the_distances_between_images() -> None:
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 50)).astype("float32"))
    scaled = (features - features.mean(dim=0)) / features.std(dim=0, correction=0)
    found = principal(features)
    assert found.shape == (20, 20)
    np.testing.assert_allclose(torch.cdist(found, found), torch.cdist(scaled, scaled), atol=1e-3)


def test_nothing_is_predicted_by_images_of_the_same_group() -> None:
    """Labels that follow nothing but the group can't be known from other groups."""
    draw = np.random.default_rng(1)
    groups = [f"g{number // 4}" for number in range(80)]
    features = np.repeat(draw.normal(size=(20, 30)), 4, axis=0).astype("float32")
    labels = np.repeat(np.arange(20) % 2, 4)
    shares = out_of_fold(features, labels, groups)
    assert np.isfinite(shares).all()
    assert (shares.argmax(axis=1) == labels).mean() < 0.75
    assert np.isnan(out_of_fold(features, labels, ["g"] * 80)).all(), "no other group"
