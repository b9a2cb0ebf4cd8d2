"""How an image becomes a square: a name that recipes and model files keep."""

from typing import Literal, TypeAlias

Fit: TypeAlias = Literal["stretch", "centre"]
"""Stretched with bilinear filtering, or the centre square with bicubic filtering."""
