"""Where torchrun started this program several times: one runs it, and the others help it train.

Rank 0 runs the flow, so that there is one run, one report and one line of each kind. The others
wait until it has something to train. Reads the environment that torchrun sets.

Source: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

import contextlib
import os
import sys


def world_size() -> int:
    """Give how many processes torchrun started, on all hosts; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def local_size() -> int:
    """Give how many of them are on this host."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def meeting() -> str | None:
    """Say where they meet; None without torchrun."""
    if world_size() == 1:
        return None
    given = [os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT")]
    return f"{':'.join(given)}/start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"


def help_rank_0() -> None:
    """Take part in the trainings of rank 0, and end with its exit code; rank 0 itself returns."""
    place, rank = meeting(), int(os.environ.get("RANK", 0))
    if place is None or rank == 0:
        return
    from resnext.device import see_one_gpu
    from resnext.training.distributed import wait_for_jobs
    from resnext.training.ranks import Ranks

    see_one_gpu(int(os.environ["LOCAL_RANK"]))
    sys.exit(wait_for_jobs(place, Ranks(rank, world_size())))


def end_others(code: int) -> None:
    """Have the other processes end with an exit code."""
    place = meeting()
    if place is None:
        return
    from resnext.training.distributed import end_all

    with contextlib.suppress(RuntimeError):  # torchrun is gone, and they with it
        end_all(place, code)
