"""Count what the choice of settings follows from: images, originals, groups, classes, the machine.

It reads the tables of a scan and a split. It opens no image, and knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from resnext.contracts.formatting import plural
from resnext.data.split.duplicates import CONFLICT
from resnext.data.split.originals import originals

Value: TypeAlias = str | int | None
"""Of a decision: what its flag is given; None where the flag is left out."""

NO_GPU = "without a CUDA GPU"
SMALLEST = 128
"""Pixels that a frozen network is shown of an image at least."""
ONE_SPLIT = ("fold", "shares", "use_split", "keep_split")
"""Flags that ask for one split."""


class Surroundings(BaseModel):
    """Hold what is known besides the images: the machine, the network, the user's flags."""

    model_config = ConfigDict(frozen=True)

    device: str = Field(description="cpu, cuda or mps")
    cores: int = Field(ge=1, description="CPU cores that the program may use")
    gpu_memory: int = Field(0, ge=0, description="bytes of memory of the GPU, 0 without CUDA")
    network: str = Field(description="the network that is trained or frozen")
    network_size: int = Field(ge=1, description="pixels a side of the images it was made for")
    fixed_size: bool = Field(False, description="it takes images of no other size")
    asked: tuple[tuple[str, str | int], ...] = Field(
        (), description="flags that the user gave, with their values"
    )


@dataclass(frozen=True)
class Facts:
    """Hold what the rules look at. Counts are of usable images."""

    images: int
    copies: int
    """Augmented copies that are stored as files."""
    identical: int
    """Files whose bytes another file has too; of two such files, one."""
    near: int
    """Pairs of near-duplicates that were joined."""
    classes: int
    originals: int
    """Of identical ones, one. Those with a label conflict are left out, as in the next counts."""
    groups: int
    groups_known: bool
    """Not guessed from names, nor taken for one an image."""
    strategy: str
    smallest: str
    """The class with the fewest groups."""
    smallest_groups: int
    rarest: str
    """The class with the fewest originals."""
    rarest_originals: int
    commonest: str
    commonest_originals: int
    side: int
    """Pixels of the shorter side of an original, the median."""
    device: str
    cores: int
    gpu_memory: int
    network: str
    network_size: int
    fixed_size: bool = False
    asked: Mapping[str, Value] = field(default_factory=dict)
    """The user's flags, by name."""
    chosen: Mapping[str, Value] = field(default_factory=dict)
    """What was decided so far, by flag: a rule can go by what stands above it."""

    @property
    def imbalance(self) -> float:
        """Give how many times the originals of the rarest class the commonest one has."""
        return self.commonest_originals / self.rarest_originals

    @property
    def as_they_are(self) -> int:
        """Give the shorter side of the images; tiny ones are enlarged."""
        return max(SMALLEST, self.side)

    @property
    def one_split(self) -> str:
        """Write the flags by which the user asked for one split; empty without them."""
        return ", ".join(
            written(name, self.asked[name]) for name in ONE_SPLIT if name in self.asked
        )

    @property
    def machine(self) -> str:
        """Name what it is computed on: "2 cores without a CUDA GPU"."""
        gpu = f"and a GPU with {self.gpu_memory / 2**30:.0f} GiB"
        return f"{plural(self.cores, 'core')} {gpu if self.device == 'cuda' else NO_GPU}"

    @property
    def named(self) -> dict[str, Any]:
        """Give everything by name, for a sentence."""
        more = ("imbalance", "machine", "one_split", "as_they_are")
        return asdict(self) | {name: getattr(self, name) for name in more}


def written(name: str, value: Value) -> str:
    """Write a flag with its value."""
    return f"--{name.replace('_', '-')} {value}"


def count_facts(
    manifest: pd.DataFrame,
    split: pd.DataFrame,
    leakage: Mapping[str, Any],
    surroundings: Surroundings,
) -> Facts:
    """Count the facts of a set.

    Args:
        manifest: Rows of manifest.csv.
        split: Rows of split.csv, of a split that was drawn.
        leakage: What leakage.json holds.
        surroundings: The machine, the network and the user's flags.
    """
    table = split.merge(manifest[["path", "sha256", "width", "height"]], on="path")
    kept = originals(table[~table["reason"].str.startswith(CONFLICT)]).drop_duplicates("sha256")
    groups = kept.groupby("label")["group"].nunique()
    counts = kept["label"].value_counts().sort_index()
    given = surroundings.model_dump() | {"asked": dict(surroundings.asked)}
    return Facts(
        images=len(table),
        copies=int((table["copy"].fillna(0) > 0).sum()),
        identical=int(table["sha256"].duplicated().sum()),
        near=leakage["near"].get("joined_pairs", 0),
        classes=table["label"].nunique(),
        originals=len(kept),
        groups=kept["group"].nunique(),
        groups_known=leakage["scheme"]["groups_known"],
        strategy=leakage["strategy"],
        smallest=str(groups.idxmin()),
        smallest_groups=int(groups.min()),
        rarest=str(counts.idxmin()),
        rarest_originals=int(counts.min()),
        commonest=str(counts.idxmax()),
        commonest_originals=int(counts.max()),
        side=int(kept[["width", "height"]].min(axis=1).median()),
        **given,
    )
