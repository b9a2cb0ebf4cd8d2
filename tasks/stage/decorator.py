"""`@stage`: make a function that writes files into a cached, checked, locked pipeline stage.

The function takes a `Work` first (the runtime, and the folder `out` to write into), then the
inputs that its key counts; each input artifact names the files that it `Reads`. Where it returns
False, what it wrote is kept, but not found again under these inputs. Called, the
stage runs as a Prefect task and gives an `Artifact`, whose state is "Cached" where nothing was
computed. `.submit()`, `.map()` and `.with_options()` are those of its task, so that stages run side
by side under any task runner; key, lock and checked hit lie within. `.fn()` does without Prefect.
"""

import errno
import inspect
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeAlias, get_args

from pydantic import BaseModel

import tasks
from resnext.contracts.errors import InputError, StoppedError
from tasks.stage.artifact import Artifact, Reads, Runtime, Work, current_stage
from tasks.stage.cluster import require_seen
from tasks.stage.key import cache_key, digest_of, fingerprint
from tasks.stage.runs import asked_of, link
from tasks.stage.store import (
    begin,
    facts_of,
    finish,
    load,
    locked,
    scratch_folder,
)

from prefect import Task, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, PrefectFutureList
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import TaskRunner

log = logging.getLogger(__name__)

P = ParamSpec("P")
Function: TypeAlias = Callable[Concatenate[Work, P], bool | None]

RETRIES = 2
RETRY_DELAY = 1.0  # seconds
SHOWN = 9  # characters of a stage's name in its lines
# Trying again doesn't help where the disk or a quota is full or a file is gone.
LASTING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOENT, errno.EROFS, errno.ENAMETOOLONG}
)


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What is known of a stage besides its function; `@stage(...)` makes the function one."""

    run_name: str = ""
    """Name of its runs in Prefect; `{argument.field}` is filled in."""
    clock_files: tuple[str, ...] = ()
    """Files it writes that hold clock times, which no digest may cover."""
    registered: tuple[str, ...] = ()
    """Files it writes that a registered model keeps."""
    always: bool = False
    """Compute at every call; the result is kept under the digest of what came out."""
    log_again: str = ""
    """File it writes that is logged again where nothing is computed."""
    label: str = ""
    """What its lines begin with; else its first word, cut to a column."""
    log_first: str = ""
    """What is said before it is computed, where it says nothing itself for a while."""

    def __call__(self, function: Function[P]) -> "Stage[P]":
        """Make a function a stage."""
        return Stage(function, self)


stage = StageRecord


def shown_name(stage: str) -> str:
    """Give what lines of a stage begin with: its first word, cut to a column."""
    return stage.partition("-")[0][:SHOWN]


class Stage(Generic[P]):
    """A pipeline stage, see the module."""

    def __init__(
        self, function: Callable[Concatenate[Work, P], bool | None], record: StageRecord
    ) -> None:
        self.function, self.record = function, record
        self.name = function.__name__.replace("_", "-")
        self.signature = inspect.signature(function, eval_str=True)
        self.task = self._task()

    def __call__(self, runtime: Runtime, *args: P.args, **kwargs: P.kwargs) -> Artifact:
        """Run as a Prefect task.

        Raises:
            InputError: the user's input was wrong. It is not retried; an `OSError` is.
        """
        state: Any = self.task(runtime, *args, return_state=True, **kwargs)
        result = state.result(raise_on_failure=False)
        if isinstance(result, BaseException):
            raise result
        if not isinstance(result, Artifact):
            raise TypeError(f"stage {self.name} must end with an Artifact, got {result!r}")
        return result

    def submit(self, runtime: Runtime, *args: Any, **kwargs: Any) -> PrefectFuture[Artifact]:
        """Hand the stage to the flow's task runner; inputs may be futures of other stages."""
        fingerprint(self.function.__module__)  # here: in a thread, it would parse beside imports
        future: PrefectFuture[Artifact] = self.task.submit(runtime, *args, **kwargs)
        return future

    def submit_to(
        self, runner: TaskRunner[Any], runtime: Runtime, *args: Any
    ) -> PrefectFuture[Artifact]:
        """Hand the stage to another task runner, which must be started."""
        names = list(self.signature.parameters)[1 : len(args) + 1]
        given = {"runtime": runtime} | dict(zip(names, args, strict=True))
        future: PrefectFuture[Artifact] = runner.submit(self.task, given)
        return future

    def map(self, runtime: Runtime, *args: Any) -> PrefectFutureList[Artifact]:
        """Submit the stage once for each item of its iterable inputs; a model counts as one."""
        # Prefect would map over the fields of a model
        one = (unmapped(each) if isinstance(each, BaseModel) else each for each in (runtime, *args))
        futures: PrefectFutureList[Artifact] = self.task.map(*one)
        return futures

    def with_options(self, **options: Any) -> Self:
        """Give this stage with other options of its Prefect task."""
        other = copy(self)
        other.task = self.task.with_options(**options)
        return other

    def fn(self, runtime: Runtime, *args: P.args, **kwargs: P.kwargs) -> Artifact:
        """Run without Prefect."""
        return self._run(runtime, *args, **kwargs)[0]

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Give the cache key for these inputs."""
        return cache_key(self.name, self.function.__module__, self._inputs(*args, **kwargs))[0]

    def is_cached(self, runtime: Runtime, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Tell whether there is a result for these inputs; that it is damaged is found by a run."""
        return (runtime.store / self.name / self.key(*args, **kwargs)).is_dir()

    def _run(self, runtime: Runtime, *args: Any, **kwargs: Any) -> tuple[Artifact, bool]:
        """Give the artifact, and whether it was there already."""
        token = current_stage.set(
            f"{runtime.label} {self.record.label or shown_name(self.name)}".lstrip()
        )
        try:
            require_seen(runtime.leader)
            artifact, cached = self._find_or_compute(runtime, self._inputs(*args, **kwargs))
            if cached:
                log.info("cached")
            if cached and self.record.log_again:
                log.info(artifact.path(self.record.log_again).read_text(encoding="utf-8").rstrip())
            return artifact, cached
        finally:
            current_stage.reset(token)

    def _find_or_compute(
        self, runtime: Runtime, inputs: dict[str, object]
    ) -> tuple[Artifact, bool]:
        store, name, always = runtime.store, self.name, self.record.always
        key, ingredients = cache_key(name, self.function.__module__, inputs)
        # What always runs works under a key of its own, since nobody knows yet what will come out.
        work_key = digest_of([key, str(runtime.data)]) if always else key
        with ExitStack() as locks:
            locks.enter_context(locked(store, name, work_key))
            artifact = None if always else load(store, name, key, verify=runtime.verify)
            cached = artifact is not None
            scratch = scratch_folder(store, name, work_key)
            if artifact is None:
                partial = begin(store, name, work_key, ingredients, asked_of(runtime.run))
                facts, lasting = self._compute(runtime, inputs, partial, scratch)
                if always or not lasting:
                    key = digest_of([ingredients, {n: each["sha256"] for n, each in facts.items()}])
                    locks.enter_context(locked(store, name, key))
                    artifact = load(store, name, key, verify=runtime.verify)
                artifact = artifact or finish(partial, name, key, facts, ingredients)
                shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)
            if runtime.run is not None:  # under the lock, so that nothing prunes it first
                link(runtime.run, artifact)
        return artifact, cached

    def _compute(
        self, runtime: Runtime, inputs: dict[str, object], partial: Path, scratch: Path
    ) -> tuple[dict[str, dict[str, Any]], bool]:
        """Give what is known of the files, and whether the same inputs would give them again."""
        start = time.monotonic()
        if self.record.log_first:
            log.info(self.record.log_first)
        work = Work(**dict(runtime), out=partial, scratch=scratch)
        lasting = self.function(work, **inputs)  # type: ignore[arg-type, call-arg]
        _require_as_hashed(inputs, partial)
        log.info("done in %.1f s", time.monotonic() - start)
        return facts_of(partial, self.record.clock_files), lasting is not False

    def _inputs(self, *args: Any, **kwargs: Any) -> dict[str, object]:
        """Bind the inputs by name, each artifact cut down to the files that are read of it."""
        bound = self.signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        named = dict(list(bound.arguments.items())[1:])
        return {name: self._view(name, value) for name, value in named.items()}

    def _view(self, name: str, value: object) -> object:
        if type(value) is tuple:
            return tuple(self._view(name, item) for item in value)
        if not isinstance(value, Artifact):
            return value
        annotation = self.signature.parameters[name].annotation
        reads = [note for note in get_args(annotation) if isinstance(note, Reads)]
        if not reads:
            raise TypeError(
                f"Artifact '{name}' of stage {self.name} must say what is read of it: "
                "Annotated[Artifact, Reads('a.csv')]."
            )
        return value.only(reads[0].files, reads[0].uncounted) if reads[0].files else value

    def _run_name(self, parameters: dict[str, Any]) -> str:
        """Name a run of the task, in the UI: by its inputs, and by the network that it is about."""
        name = (self.record.run_name or self.name).format(**parameters)
        return f"{parameters['runtime'].label} {name}".lstrip()

    def _task(self) -> Task[..., Any]:
        def run(*args: Any, **kwargs: Any) -> State[Any] | Artifact:
            try:
                artifact, cached = self._run(*args, **kwargs)
            except InputError as error:  # in words and without a traceback, see __call__
                return Failed(message=str(error), data=error)
            except StoppedError as error:
                return Cancelled(message=str(error), data=error)
            if not cached:
                return artifact
            return Completed(name="Cached", message=f"{self.name}/{artifact.key}", data=artifact)

        parameters = list(self.signature.parameters.values())
        runtime = parameters[0].replace(name="runtime", annotation=Runtime)
        run.__signature__ = self.signature.replace(parameters=[runtime, *parameters[1:]])  # type: ignore[attr-defined]
        run.__doc__ = self.function.__doc__
        return task(
            name=self.name,
            task_run_name=self._run_name,  # type: ignore[arg-type] # Prefect asks for its own class
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=RETRIES,
            retry_delay_seconds=RETRY_DELAY,
            retry_condition_fn=_worth_retrying,
        )(run)


def _require_as_hashed(inputs: Mapping[str, object], partial: Path) -> None:
    """Check that files of the user are those of the key still; what was made of others is removed.

    Raises:
        InputError: one was changed after the run had begun.
    """
    for value in inputs.values():
        for each in value if type(value) is tuple else (value,):
            if isinstance(each, Artifact) and not each.is_as_hashed():
                shutil.rmtree(partial, ignore_errors=True)
                name = each.single_path().name
                rule, got = "stay the same while a run reads it", "other bytes than at its start"
                raise InputError(name, rule, got, "Run it again. Nothing was kept of this stage.")


def all_stages() -> list["Stage[Any]"]:
    """Give every stage of the project: each file in `tasks/` may hold some."""
    names = [f"tasks.{each.name}" for each in iter_modules(tasks.__path__) if not each.ispkg]
    found = [value for name in names for value in vars(import_module(name)).values()]
    return list({each.name: each for each in found if isinstance(each, Stage)}.values())


def _worth_retrying(_task: object, _run: object, state: State[Any]) -> bool:
    """Tell whether a stage failed for a reason that may pass: some input and output can."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and error.errno not in LASTING
