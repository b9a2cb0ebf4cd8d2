"""What a training calls as it goes: a terminal, a tracker, what handles signals."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from resnext.training.checkpoints import EpochRow


class Callback:
    """Follow a training; this one does nothing. Write those methods that you need."""

    def on_start(self, total_steps: int, steps_per_epoch: int, done: int) -> None:
        """Training begins: of `total_steps` so many are `done`, by an earlier run."""

    def on_step(self, step: int, images: int, loss: "Tensor") -> None:
        """Step `step`, from 1, is under way: `images` images, `loss` still on the device."""

    def on_epoch(self, row: "EpochRow") -> None:
        """An epoch is over."""

    def on_end(self, result: str | None) -> None:
        """Training is over: `result` says which weights are kept; None where it was cut short."""

    def wants_to_stop(self) -> bool:
        """Tell whether to save a checkpoint and stop, by KeyboardInterrupt."""
        return False
