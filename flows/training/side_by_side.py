"""Networks trained side by side, in processes, none of which outlives the program, or on a cluster.

Source: https://docs.prefect.io/v3/concepts/task-runners (Prefect's runner, which spawns them)
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from flows.cli import terminal
from resnext.contracts.errors import TrainingError
from resnext.contracts.formatting import plural
from resnext.device import Compute, count_cpus, count_gpus, see_one_gpu
from resnext.training.recipe import Recipe, with_settings
from tasks.predict import predict
from tasks.stage.artifact import PROCESSES, Artifact, Runtime
from tasks.stage.cluster import workers
from tasks.stage.decorator import Stage
from tasks.stage.runs import run_around
from tasks.train import train

from prefect import context
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_EVERY = 0.5  # seconds


class Done(NamedTuple):
    """Stand for a future where a stage was run at once."""

    artifact: Artifact

    def result(self) -> Artifact:
        """Give what the stage made."""
        return self.artifact


Future: TypeAlias = PrefectFuture[Artifact] | Done
Submit: TypeAlias = Callable[..., Future]
"""Takes a stage, its runtime and its inputs, which may be futures."""


@dataclass(frozen=True)
class Prepared:
    """What a network is trained with."""

    manifest: Artifact
    split: Artifact
    pixels: Artifact
    features: Artifact | None
    """Those of the frozen network, for a probe alone."""
    recipe: Recipe
    weights: Artifact | None
    compute: Compute
    devices: int = 1

    def with_recipe(self, settings: Mapping[str, Any]) -> "Prepared":
        """Give the same with some settings of the recipe changed."""
        return replace(self, recipe=with_settings(self.recipe, settings))

    @property
    def training(self) -> tuple[Any, ...]:
        """Give what `train` takes."""
        devices = 1 if self.recipe.method == "probe" else self.devices
        compute = share_of(self.compute, devices)
        given = (self.manifest, self.split, self.pixels, self.recipe, compute)
        return (*given, self.weights, self.features, devices)

    def testing(self, model: Future | Artifact) -> tuple[Any, ...]:
        """Give what `predict` takes; the model may be one that is still being trained."""
        return (self.manifest, self.split, self.pixels, model, self.compute)


class Network(NamedTuple):
    """One of several networks that are to be trained, and where its files go."""

    runtime: Runtime
    prepared: Prepared


class Tested(NamedTuple):
    """A model with its answers to images that it was not trained on."""

    model: Artifact
    predictions: Artifact


def train_and_test(networks: Sequence[Network], jobs: int | None = None) -> list[Tested]:
    """Train and test networks, so many at once: by default as many as the machine bears."""
    new = sum(not train.is_cached(own, *given.training) for own, given in networks)
    jobs = jobs if networks[0].prepared.devices == 1 else 1  # each training has all devices
    with side_by_side(new, networks[0], jobs) as submit:
        futures = []
        for own, given in networks:
            model = submit(train, own, *given.training)
            futures.append((model, submit(predict, own, *given.testing(model))))
        return [Tested(model.result(), answers.result()) for model, answers in futures]


def result_of(stages: Generator[Artifact, None, T]) -> T:
    """Run stages to their end, and give what they return."""
    while True:
        try:
            next(stages)
        except StopIteration as end:
            return cast("T", end.value)


def apart(runtime: Runtime, name: str, label: str = "") -> Runtime:
    """Give a network a folder of its own in that of the run; `label` begins its lines."""
    folder = runtime.run and runtime.run / name
    if folder:
        folder.mkdir(parents=True)
    return runtime.model_copy(update={"run": folder, "label": label, "script_lines": False})


def share_of(compute: Compute, count: int) -> Compute:
    """Say how one of so many folds, or processes, computes: on a CPU by its share of the threads.

    The share follows from the folds, and not from how many are trained at once, so that this
    changes no byte.
    """
    if compute.device != "cpu":
        return compute
    return compute.model_copy(update={"threads": max(1, compute.threads // count)})


def bearable(compute: Compute) -> int:
    """Say how many networks the machine bears at once: one a GPU, or as many as have threads."""
    counts = {"cpu": count_cpus() // compute.threads, "cuda": count_gpus()}
    return max(1, counts.get(compute.device, 1))


@contextmanager
def side_by_side(count: int, first: Network, jobs: int | None = None) -> Iterator[Submit]:
    """Run stages elsewhere, `count` of which take long; `first` is one of the networks.

    That is on the workers of the cluster, if there is one, else in processes; what takes long once
    is run here, one stage after the other.
    """
    (runtime, _), compute = first, first.prepared.compute
    run = runtime.run and run_around(runtime.run)
    if runtime.cluster != PROCESSES and count and run:
        log.info("%s on %s", plural(count, "network"), runtime.cluster)
        with workers(runtime.cluster, run) as runner:
            yield partial(_submit, runner, run)
        return
    jobs = max(1, min(jobs or bearable(compute), count))
    if jobs == 1:
        yield _run_at_once
        return
    log.info("%d networks, %d side by side", count, jobs)
    with processes(jobs, count_gpus() if compute.device == "cuda" else 0) as runner:
        yield partial(_submit, runner, None)


def _submit(
    runner: TaskRunner[Any], leader: Path | None, stage: Stage[Any], runtime: Runtime, *inputs: Any
) -> Future:
    alone = runtime.model_copy(update={"progress_bar": False, "leader": leader})
    return stage.submit_to(runner, alone, *inputs)


def _run_at_once(stage: Stage[Any], runtime: Runtime, *inputs: Any) -> Future:
    return Done(stage(runtime, *(each.artifact if type(each) is Done else each for each in inputs)))


@contextmanager
def processes(jobs: int, gpus: int = 0) -> Iterator[ProcessPoolTaskRunner]:
    """Start so many processes on demand, each with a GPU of its own where there are `gpus`.

    They use the server of this program. Where the body is interrupted they are asked to end: a
    training saves a checkpoint first.
    """
    runner = ProcessPoolTaskRunner(jobs, initializer=_begin, initargs=(os.getpid(), gpus))
    with _settings_for_all(), runner:
        _start_all_at_once(runner)
        try:
            yield runner
        except BaseException as error:
            _end_children()
            _leave_messages(runner)
            if isinstance(error, BrokenExecutor):
                raise TrainingError(
                    "A process that trained was ended by the system, perhaps for want of memory. "
                    "Give fewer --jobs. Finished stages are kept, and the newest checkpoints."
                ) from error
            raise


def _end_children() -> None:
    """Ask all processes to end until they have.

    A training that is asked saves first, and waits for the next one: then it is asked again.
    """
    children = multiprocessing.active_children()
    while any(child.is_alive() for child in children):
        for child in children:
            child.terminate()
        time.sleep(POLL_EVERY)


def _start_all_at_once(runner: ProcessPoolTaskRunner) -> None:
    """Let the runner's pool start all its processes before it begins to watch them.

    A pool that starts them one by one begins to wait before the newest is in its list, and learns
    of that one's end only when another one answers, which may be hours later.
    """
    cast("Any", runner)._executor._safe_to_dynamically_spawn_children = False


def _leave_messages(runner: ProcessPoolTaskRunner) -> None:
    """Don't wait for the runner's queue: a process may have died while it held the queue's lock."""
    queue = getattr(runner, "_subprocess_message_queue", None)
    if queue is not None:
        queue.cancel_join_thread()


@contextmanager
def _settings_for_all() -> Iterator[None]:
    """Let other processes, and the threads that speak with them, use this thread's server.

    Each would start one of its own: a new thread has Prefect's global settings, a new process reads
    them in its environment when it imports Prefect.
    """
    name, environment = PREFECT_API_URL.name, dict(os.environ)
    before, context.GLOBAL_SETTINGS_CONTEXT = (
        context.GLOBAL_SETTINGS_CONTEXT, context.get_settings_context()
    )  # fmt: skip
    os.environ[name] = str(PREFECT_API_URL.value())
    try:
        yield
    finally:
        context.GLOBAL_SETTINGS_CONTEXT = before
        os.environ.pop(name)
        os.environ |= {name: environment[name]} if name in environment else {}


def _begin(parent: int, gpus: int) -> None:
    """Set a process up: its lines, its device, and what ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which has it too, asks to end
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if gpus:
        number = multiprocessing.current_process()._identity[0]
        see_one_gpu((number - 1) % gpus)
    terminal.show_only_our_lines()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, by kill -9 too.

    The kernel's own signal comes at the end of the thread that started a process, which may be
    earlier.
    """
    while True:
        time.sleep(POLL_EVERY)
        if os.getppid() != parent:  # a training that is asked saves first: then again
            os.kill(os.getpid(), signal.SIGTERM)
