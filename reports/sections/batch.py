"""Lay out a batch of new images: how many were called what."""

from __future__ import annotations

from reports.prediction import BatchSummary


def class_rows(summary: BatchSummary) -> list[tuple[str, int, float]]:
    """Give each class, the commonest first, with its images and their share of all answered."""
    total = summary.classes.total()
    ranked = sorted(summary.classes.items(), key=lambda each: (-each[1], each[0]))
    return [(name, number, number / total) for name, number in ranked]
