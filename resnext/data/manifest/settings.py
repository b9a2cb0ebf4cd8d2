"""Which images a scan admits."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Truncated = Literal["quarantine", "keep"]


class ReadingSettings(BaseModel):
    """Say which images are admitted that a careful reader refuses."""

    model_config = ConfigDict(frozen=True)

    max_pixels: int = Field(
        default=200_000_000,
        ge=1_000_000,
        le=2_000_000_000,
        description="pixels (width times height) that an image may have; a larger one is "
        "quarantined, as it may be made to fill the memory. Images above 89 million are decoded "
        "one at a time, with up to 16 bytes of memory a pixel",
    )
    truncated: Truncated = Field(
        default="quarantine",
        description="a JPEG whose end is missing: quarantine (left out, and named) or keep (used "
        "if at least a quarter of its rows is there, grey below)",
    )
