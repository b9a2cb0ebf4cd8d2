"""Say how the images of a manifest are split: the settings, and the names of the splits."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from resnext.contracts.errors import InputError

SPLITS = ("train", "val", "test")
UNUSED = "unused"
JOINED_FILE = "joined_groups.json"
"""Lies beside a split: the ids of each group that several were joined to, by its name."""


class FoldSettings(BaseModel):
    """Say on how many folds a recipe is tested, and which model is kept then."""

    model_config = ConfigDict(frozen=True)

    folds: int | None = Field(
        default=None,
        ge=2,
        le=100,
        description=(
            "K: cross-validation. K networks are trained, each tested on a fold that it has not "
            "seen, and their answers make one report. Better than one test part below some "
            "hundred groups"
        ),
    )
    repeats: int = Field(
        default=1, ge=1, le=100,
        description="with --folds: how often, each time with other folds and first weights",
    )  # fmt: skip
    final: Literal["everything", "ensemble"] = Field(
        default="everything",
        description=(
            "with --folds: the model that is kept: everything (one more network, trained on all "
            "images), or ensemble (the mean answer of the networks of all folds)"
        ),
    )

    @model_validator(mode="after")
    def _all_are_about_folds(self) -> FoldSettings:
        for name in ("repeats", "final"):
            if self.folds is None and getattr(self, name) != type(self).model_fields[name].default:
                rule, got = "go with `folds`", str(getattr(self, name))
                raise InputError(name, rule, got, "Add for example --folds 5.")
        return self


class SplitSettings(BaseModel):
    """Say how images are shared out."""

    model_config = ConfigDict(frozen=True)

    strategy: Literal["grouped", "stratified", "random", "given"] = Field(
        default="grouped",
        description=(
            "grouped: whole patients, by class, val and test hold originals only; stratified: "
            "originals by class, patients may cross; random: every file on its own, copies too; "
            "given: as the folders train, val and test in --data or the file of --use-split say"
        ),
    )
    shares: tuple[float, float, float] = Field(
        default=(70.0, 10.0, 20.0),
        description=(
            "train, val and test shares in percent; sum 100, val may be 0. Of a folder that comes "
            "with two splits, train and val say how its train split is shared out"
        ),
    )
    fold: tuple[int, int] | None = Field(
        default=None,
        description=(
            "I/K: test on fold I of K, train and validate on the others in the ratio of --shares; "
            "over the K folds every original is tested once (of identical ones, one)"
        ),
    )
    folds: int | None = Field(
        default=None, ge=2, description="draw K folds besides, and no test part: see FoldSettings"
    )
    repeats: int = Field(default=1, ge=1, description="how often folds are drawn")
    group_pattern: str | None = Field(
        default=None,
        description=(
            "regular expression searched in each path (relative, with /): named group 'group' is "
            "the patient, optional named group 'copy' the copy's number (0 or none = original)"
        ),
    )
    near_duplicates: Literal["join", "report", "off"] = Field(
        default="join",
        description=(
            "images that look nearly the same: join them into one group, report them only, or "
            "off (not searched). A --groups table of all images outranks them, and where joining "
            "would swallow a class they are only reported"
        ),
    )
    hold_out_copies: bool = Field(
        default=False, description="let val and test hold augmented copies too, not originals only"
    )
    carve_val: bool = Field(
        default=False, description="take groups out of train where a given split has no val"
    )
    seed: int = Field(default=0, ge=0, description="seed of the draw")

    @property
    def splits(self) -> list[str]:
        """Name the splits that have a share."""
        splits = [split for split, share in zip(SPLITS, self.shares, strict=True) if share > 0]
        return splits if self.folds is None else splits[:-1]

    @property
    def each_fold(self) -> dict[tuple[int, int], SplitSettings]:
        """Give how each fold is drawn, by repeat and fold, from 1 on; every repeat draws others."""
        alone = self.model_copy(update={"folds": None, "repeats": 1})
        return {
            (repeat, fold): alone.model_copy(
                update={"fold": (fold, self.folds), "seed": self.seed + repeat - 1}
            )
            for repeat in range(1, self.repeats + 1)
            for fold in range(1, 1 + (self.folds or 0))
        }

    @field_validator("shares")
    @classmethod
    def _shares_are_percent(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        train, val, test = shares
        if not (train > 0 and val >= 0 and test > 0 and abs(sum(shares) - 100) < 1e-6):
            raise InputError(
                "shares",
                "be three percentages that sum to 100, train and test above 0",
                f"{train:g},{val:g},{test:g}",
                "Give for example 70,10,20.",
            )
        return shares

    @field_validator("fold")
    @classmethod
    def _fold_is_one_of_k(cls, fold: tuple[int, int] | None) -> tuple[int, int] | None:
        if fold is not None and not (fold[1] >= 2 and 1 <= fold[0] <= fold[1]):
            raise InputError(
                "fold",
                "be I/K with K at least 2 and I from 1 to K",
                f"{fold[0]}/{fold[1]}",
                "Give for example 1/5.",
            )
        return fold

    @field_validator("group_pattern")
    @classmethod
    def _pattern_names_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(
                "group_pattern", "be a regular expression", f"{pattern!r}: {error}"
            ) from error
        if "group" not in groups:
            raise InputError(
                "group_pattern",
                "hold the named group 'group'",
                f"{pattern!r}",
                "Write for example (?P<group>P\\d+)_\\d+_(?P<copy>\\d+).",
            )
        return pattern

    @model_validator(mode="after")
    def _folds_are_of_units(self) -> SplitSettings:
        flag = "folds" if self.folds is not None else "fold"
        if getattr(self, flag) is not None and self.strategy not in ("grouped", "stratified"):
            raise InputError(
                flag,
                "go with the strategy grouped or stratified",
                self.strategy,
                "Leave one of them out.",
            )
        return self
