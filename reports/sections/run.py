"""Say which files of the run lie beside its report."""

from __future__ import annotations

FILES = {
    "model.safetensors": "the weights",
    "MODEL_CARD.md": "the model card",
    "metrics.json": "all scores with their intervals",
    "per_class.csv": "the scores of each class",
    "confusion.csv": "the confusion matrix",
    "predictions.csv": "the answer to each held-out image",
    "calibration.json": "temperature and threshold",
    "split.csv": "which image is in which part, and why",
    "leakage.json": "what leaks, here and in a random split",
    "history.csv": "accuracy and loss of each epoch",
    "timing.csv": "when each epoch ended, and how long it took",
    "run.json": "the command, and when the run began and ended",
}
"""The files that a reader may want to open, by name, and what is in them."""
