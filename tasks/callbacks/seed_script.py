"""The lines of the script that the project began as, for runs that measure the test part."""

from typing import TYPE_CHECKING

from resnext.training.callback import Callback
from tasks.callbacks.discovery import TrainingSetup
from tasks.callbacks.terminal import say

if TYPE_CHECKING:
    from resnext.training.checkpoints import EpochRow


def follow(training: TrainingSetup) -> "SeedScript | None":
    """Follow the trainings of the seed preset."""
    return SeedScript() if training.as_script else None


class SeedScript(Callback):
    """Print an epoch, and the end, exactly as the script does."""

    def on_epoch(self, row: "EpochRow") -> None:
        """Print an epoch."""
        say(
            f"Epoch:{row.epoch:2d}, Train_acc:{100 * row.train_accuracy:.1f}%, "
            f"Train_loss:{row.train_loss:.3f}, Test_acc:{100 * (row.val_accuracy or 0):.1f}%，"  # noqa: RUF001 - its comma
            f"Test_loss:{row.val_loss or 0:.3f}",
            plain=True,
        )

    def on_end(self, result: str | None) -> None:
        """Print that it is done."""
        if result:
            say("Done", plain=True)
