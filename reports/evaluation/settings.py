"""Say how predictions are evaluated: which class counts as the positive one, and where it begins.

It imports nothing heavy, so that a run that computes nothing can read it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EvaluationSettings(BaseModel):
    """Say what the operating point is chosen for."""

    model_config = ConfigDict(frozen=True)

    positive: str | None = Field(
        default=None,
        description=(
            "class that a threshold is chosen for, on the validation part; of two classes the "
            "second in sorted order. A prediction stays the likeliest class, whatever the threshold"
        ),
    )
    sensitivity: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "wanted share of the positive class found: the highest threshold that reaches it on "
            "the validation part; none: that with the greatest Youden's J"
        ),
    )


def positive_class(classes: list[str], asked: str | None) -> str | None:
    """Name the positive class: the one asked for, else the second of two in sorted order.

    None where there are more than two classes and none was asked for.

    Raises:
        ValueError: the one asked for is not among the classes.
    """
    if asked is not None and asked not in classes:
        shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
        raise ValueError(f"positive must be one of the classes ({shown}), got '{asked}'.")
    if asked is None and len(classes) == 2:
        return sorted(classes)[1]
    return asked


ComparedBy = Literal["balanced_accuracy", "accuracy", "macro_f1"]


class DecisionSettings(BaseModel):
    """By what a challenger is judged."""

    model_config = ConfigDict(frozen=True)

    metric: ComparedBy = Field(
        default="balanced_accuracy", description="figure by which a challenger must be better"
    )
    margin: float = Field(
        default=0.0, ge=0, lt=1,
        description="by how much more than this the figure must be better, a share from 0 to 1",
    )  # fmt: skip
