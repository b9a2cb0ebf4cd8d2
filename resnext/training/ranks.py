"""The processes of one training, and what they tell each other while they train.

Every process takes the same steps, each on its own part of a batch. DistributedDataParallel gives
all of them the mean of their gradients, so that their weights stay equal. Rank 0 alone has
callbacks, writes checkpoints and gives the result.

On CUDA each process has a GPU, and batch norms take their statistics over all of a batch
(SyncBatchNorm). On a CPU they can't: there each process normalises by its own part of the batch,
and the running statistics that are kept are those of rank 0.

Source: Li et al. 2020, arXiv:2006.15704 (DistributedDataParallel); Goyal et al. 2017,
arXiv:1706.02677, section 3 (the mean over a batch that is split unevenly).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resnext.contracts.errors import TrainingError
from resnext.data.pixels import Rows
from resnext.device import Compute

M = TypeVar("M", bound=nn.Module)

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
LOST = (
    "A process of the training was lost, perhaps for want of memory. Finished stages are kept, and "
    "the newest checkpoint; the same command goes on there."
)


@dataclass(frozen=True)
class Ranks:
    """Say which one of how many processes this is; the only one by default."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Tell whether this is the process that writes."""
        return self.rank == 0

    def part_of(self, batch: Rows) -> Rows:
        """Give this process's images of a batch: as many as the others have, or one more or less.

        No image is in two parts, and one after the other the parts are the batch.
        """
        return np.array_split(batch, self.size)[self.rank]

    def add_up(self, tensor: Tensor) -> Tensor:
        """Give the sum of all processes' tensors, which becomes the value of this one."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def mean(self, tensor: Tensor) -> Tensor:
        """Give the mean of all processes' tensors."""
        return self.add_up(tensor.clone()) / self.size if self.size > 1 else tensor

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have in rank 0."""
        for tensor in tensors if self.size > 1 else ():
            dist.broadcast(tensor, 0)

    def share_norms(self, model: M, compute: Compute) -> M:
        """Let batch norms take their statistics over all processes, where the device can."""
        if self.size == 1 or compute.device != "cuda":
            return model
        from timm.layers import norm_act  # torch's would lose the activations in timm's

        shared: M = norm_act.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return shared

    def share_gradients(self, model: nn.Module) -> nn.Module:
        """Wrap a network so that backward gives all processes the mean of their gradients.

        All of its weights must be trainable now; some may be frozen later.
        """
        if self.size == 1:
            return model
        # Else its buckets would be dealt anew after the first step, and sums of three or more
        # processes be rounded otherwise in a training that goes on from a checkpoint.
        return DistributedDataParallel(model, find_unused_parameters=True)


def without_sharing(model: nn.Module) -> AbstractContextManager[None]:
    """Only add up gradients, which a later backward shares with the other processes."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def joined(store: dist.Store, ranks: Ranks, compute: Compute) -> Iterator[None]:
    """Be one of the processes that meet at a store, until the end of the body.

    Raises:
        TrainingError: another process was lost.
    """
    try:
        dist.init_process_group(
            BACKENDS[compute.device], store=store, rank=ranks.rank, world_size=ranks.size
        )
        try:
            with warnings.catch_warnings():
                # of strides of axes of length 1, which mean nothing
                warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
                yield
        except BaseException:
            if dist.group.WORLD is not None:  # to leave would wait for the others
                dist.group.WORLD.abort()
            raise
        finally:
            dist.destroy_process_group()
    except RuntimeError as error:
        if not _means_lost(error):
            raise
        raise TrainingError(LOST) from error


def _means_lost(error: RuntimeError) -> bool:
    """Tell whether an error says that another process is gone; gloo has no class for that."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)
