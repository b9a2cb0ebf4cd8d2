"""Predict with a trained model: `from resnext import load_model`.

Nothing is imported before it is used, so that importing a part of the library costs that part.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resnext.inference.model import Answer, Model, load_model

__all__ = ["Answer", "Model", "load_model"]


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from resnext.inference import model

    value: object = getattr(model, name)
    return value
