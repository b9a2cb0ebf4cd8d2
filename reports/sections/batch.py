"""Lay out a batch of new images: how many were called what."""

from __future__ import annotations

from collections.abc import Mapping

from reports.prediction import BatchSummary
from resnext.contracts.threshold import UNLIKE, is_unlike


def class_rows(summary: BatchSummary) -> list[tuple[str, int, float]]:
    """Give each class, the commonest first, with its images and their share of all answered."""
    total = summary.classes.total()
    ranked = sorted(summary.classes.items(), key=lambda each: (-each[1], each[0]))
    return [(name, number, number / total) for name, number in ranked]


def unlike(row: Mapping[str, str]) -> str:
    """Say that an image is unlike the training images; empty where it is not, or not known."""
    return UNLIKE if is_unlike(float(row.get("unlike_training") or "nan")) else ""
