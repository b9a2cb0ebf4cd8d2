"""Say how predictions are evaluated: which class counts as the positive one, and where it begins.

It imports nothing heavy, so that a run that computes nothing can read it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import first_few

HALF = 0.5
SHOWN_CLASSES = 20
NEGATIVE_WORDS = frozenset(
    """
    other others rest normal normals healthy health negative negatives neg control controls benign
    background clean intact good ok no non not none without absent absence unaffected false 0
    其他 其它 正常 健康 阴性 对照 良性
    """.split()  # noqa: SIM905 - a list of forty literals would take forty lines
)
"""Words that name the class of those who do not have what is looked for."""
NEGATIONS = ("no", "non", "not", "un")
"""What stands before the other class's name, as in `nomask` beside `mask`."""


class EvaluationSettings(BaseModel):
    """Say what the operating point is chosen for."""

    model_config = ConfigDict(frozen=True)

    positive: str | None = Field(
        default=None,
        description=(
            "class that sensitivity and threshold are about; of two classes the one beside a class "
            "that is called other, normal, healthy, negative, control, benign, no... or the like. "
            "A prediction stays the likeliest class, whatever the threshold"
        ),
    )
    sensitivity: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "wanted share of the positive class found: the highest threshold that reaches it on "
            "the validation part; none: the threshold is that of --threshold"
        ),
    )
    threshold: Literal["youden"] | float = Field(
        default=HALF,
        description=(
            "calibrated probability from which on an image counts as the positive class (above 0 "
            "below 1); youden: that with the greatest Youden's J on the validation part"
        ),
    )

    prevalence: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "share of the positive class where the model is to be used: the predictive values are "
            "given for it too; none: only for that of the test part"
        ),
    )
    max_error: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "share of wrong answers, at most, that is promised with 95 % confidence where an "
            "answer is given: less certain images are referred. How certain an answer must be is "
            "chosen on the validation part; none: every image is answered"
        ),
    )
    set_level: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="share of images whose set of possible classes is to hold the true one",
    )

    @field_validator("threshold", mode="before")
    @classmethod
    def _probability_or_rule(cls, given: object) -> object:
        try:
            number = float(str(given))
        except ValueError:
            number = math.nan
        if given == "youden" or 0 < number < 1:
            return given
        raise InputError(
            "threshold",
            "be youden or a number above 0 and below 1",
            f"'{given}'",
            "Write as in 0.3.",
        )

    @model_validator(mode="after")
    def _one_rule(self) -> EvaluationSettings:
        if self.sensitivity is not None and self.threshold != HALF:
            raise InputError(
                "sensitivity",
                "not go with `threshold`",
                f"{self.sensitivity:g} and {self.threshold}",
                "Both choose the threshold: leave one out.",
            )
        return self


def positive_class(classes: Sequence[str], asked: str | None) -> str | None:
    """Name the positive class: the one asked for, else of two the one beside a negative one.

    None where neither or both of two names are those of a negative class, and where there are
    more than two classes.

    Raises:
        InputError: the one asked for is not among the classes.
    """
    if asked is not None and asked not in classes:
        rule = f"be one of the classes ({first_few(classes, most=SHOWN_CLASSES)})"
        raise InputError("positive", rule, f"'{asked}'", "Write it as its folder is called.")
    if asked is not None or len(classes) != 2:
        return asked
    one, other = classes
    found = [name for name, rival in ((one, other), (other, one)) if not _is_negative(name, rival)]
    return found[0] if len(found) == 1 else None


def _is_negative(name: str, rival: str) -> bool:
    """Tell whether a class is called after what it lacks, by a word of its name or by the rival.

    What negates a negative class, as `unhealthy` beside `healthy`, is none.
    """
    words, others = _words(name), _words(rival)
    negated = {negation + "".join(others) for negation in NEGATIONS}
    if "".join(words) in negated:
        return not NEGATIVE_WORDS & set(others)
    return bool(NEGATIVE_WORDS & set(words))


def _words(name: str) -> list[str]:
    """Part a name at signs and where a capital follows a small letter, in small letters."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", name))
    return re.findall(r"[^\W_]+", parted.lower())


ComparedBy = Literal["balanced_accuracy", "accuracy", "macro_f1"]
JudgedBy = Literal["balanced_accuracy", "accuracy", "macro_f1", "log_loss"]


class DecisionSettings(BaseModel):
    """By what a challenger is judged."""

    model_config = ConfigDict(frozen=True)

    metric: JudgedBy = Field(
        default="balanced_accuracy",
        description="figure by which a challenger must be better; log_loss, of which less is "
        "better, judges the probabilities too",
    )
    margin: float = Field(
        default=0.0, ge=0, lt=1,
        description="the 95 % interval of how much better it is must lie above this, a share, of "
        "log_loss nats",
    )  # fmt: skip
