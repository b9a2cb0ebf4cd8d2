"""Views of an image, flipped and turned, whose answers a probe averages. Knows no torch."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Views: TypeAlias = Literal["identity", "mirror", "d4"]

TURNS: dict[Views, tuple[int, ...]] = {"identity": (0,), "mirror": (0, 1), "d4": tuple(range(8))}
"""The orientations of each: bit 1 mirrors left and right, bit 2 top and bottom, bit 4 transposes.

All eight are the symmetries of a square (the dihedral group D4).
"""


class ProbeShape(BaseModel):
    """Say what stands on a frozen network: so many heads, over so many views of an image."""

    model_config = ConfigDict(frozen=True)

    views: Views = "mirror"
    heads: int = Field(5, ge=1)
    hidden: int = Field(64, ge=1, description="width of a head's hidden layer")
