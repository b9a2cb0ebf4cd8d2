"""Connect to the workers of a Dask or Ray cluster, and check that they can do a run's work.

Everything passes through the store: a worker finds its inputs there, and leaves its results there.
So every worker must see the same folder under the same path, with locks that hold on all machines,
and the server that keeps the run history. Workers are somebody else's: none is started or ended.

Source: https://docs.prefect.io/integrations/prefect-dask and .../prefect-ray
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resnext.contracts.errors import InputError, TrainingError
from tasks.stage.artifact import PROCESSES
from tasks.stage.key import digest_of, fingerprint
from tasks.stage.runs import is_over

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL
from prefect.task_runners import TaskRunner

log = logging.getLogger(__name__)

ENGINES = {"dask": "distributed", "ray": "ray"}
"""The package of each kind of cluster."""
RULE = f"be {PROCESSES}, dask://HOST:PORT or ray://HOST:PORT"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANSWER = "cluster.txt"  # in the run folder: what a worker wrote
SHARED_OUT = ("tasks.train", "tasks.predict", "tasks.predict_images")  # whose code must be the same


def require_cluster(text: str) -> str:
    """Check the form of a cluster's address.

    Raises:
        InputError: it is another one.
    """
    try:
        address = urlsplit(text)
        whole = address.scheme in ENGINES and address.hostname and address.port
    except ValueError:  # a port that is no number
        whole = False
    if text != PROCESSES and not whole:
        remedy = "As in dask://127.0.0.1:8786 or ray://127.0.0.1:10001."
        raise InputError("cluster", RULE, f"'{text}'", remedy)
    return text


@contextmanager
def workers(cluster: str, run: Path) -> Iterator[TaskRunner[Any]]:
    """Give the runner that hands tasks to a cluster's workers, for a run's folder in the store.

    Raises:
        InputError: it can't be reached, or a worker lacks the store, the server or our code.
        TrainingError: workers were lost, again and again.
    """
    _require_reachable_server(cluster)
    runner = _runner(cluster)
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(runner)
                _prepare(runner, cluster)
            except OSError as error:
                remedy = "Start it, or check the address."
                raise InputError("cluster", "answer", f"'{cluster}' ({error})", remedy) from error
            _require_same(runner, cluster, run)
            yield runner
    except Exception as error:
        if not is_of_engine(error):
            raise
        raise TrainingError(
            f"The cluster at {cluster} failed ({type(error).__name__}): workers were lost, perhaps "
            "for want of memory. Finished stages are kept, and the newest checkpoints."
        ) from error


def is_of_engine(error: BaseException) -> bool:
    """Tell what the cluster itself failed with, as where workers are lost again and again."""
    return type(error).__module__.partition(".")[0] in ENGINES.values()


def require_seen(*places: Path | None) -> None:
    """Check on a worker that it sees files and folders.

    Raises:
        InputError: it does not see one of them.
    """
    for place in places:
        if place is not None and not place.exists():
            rule = "have workers that see the same files under the same paths"
            remedy = "Mount the folder there too, or read images from an address."
            raise InputError("cluster", rule, f"one without '{place}'", remedy)


def _runner(cluster: str) -> TaskRunner[Any]:
    engine, _, place = cluster.partition("://")
    try:
        if engine == "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            return DaskTaskRunner(address=f"tcp://{place}")
        from prefect_ray import RayTaskRunner

        settings = {"runtime_env": {"env_vars": _environment()}, "log_to_driver": False}
        runner: TaskRunner[Any] = RayTaskRunner(address=cluster, init_kwargs=settings)
        return runner
    except ImportError as error:
        rule, remedy = "be of an installed engine", f"pip install 'resnext-pipeline[{engine}]'"
        raise InputError("cluster", rule, f"'{cluster}'", remedy) from error


def _environment() -> dict[str, str]:
    """Give what a worker's process must know before it imports Prefect: our server.

    A new thread has Prefect's global settings; without these it would start a server of its own.
    """
    settings = {each.name: each.value() for each in (PREFECT_API_URL, PREFECT_API_AUTH_STRING)}
    return {name: _plain(value) for name, value in settings.items() if value}


def _plain(value: Any) -> str:
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _prepare(runner: Any, cluster: str) -> None:
    """Let Dask's workers, also those that come later, use our server; Ray's have it already.

    Raises:
        OSError: the scheduler does not answer.
        InputError: a worker runs several tasks at once.
    """
    if not cluster.startswith("dask"):
        return
    from tasks.stage.dask_workers import SameServer

    client = runner.client
    client.register_plugin(SameServer(_environment()))
    threads = [each["nthreads"] for each in client.scheduler_info(n_workers=-1)["workers"].values()]
    if any(number > 1 for number in threads):
        rule, got = "have workers of one thread each", f"one of {max(threads)} threads"
        remedy = "Start them with `dask worker --nworkers N --nthreads 1`."
        raise InputError("cluster", rule, got, remedy)


def _require_same(runner: TaskRunner[Any], cluster: str, run: Path) -> None:
    """Check on a worker, and here, that both see what the other one writes.

    Raises:
        InputError: they don't, locks don't hold, or the worker has other code.
    """
    answer = run / ANSWER
    answer.unlink(missing_ok=True)
    answer.exists()  # what a file system remembers wrongly shows now
    log.info("asking a worker of %s for the store", cluster)
    future = runner.submit(look_around, {"run": run})
    host, seen, alive, code = future.result()
    remedy = "All machines must mount one POSIX file system there, NFS with lookupcache=none, say."
    if not seen or not answer.exists():
        rule = "be a folder that all workers of `cluster` share"
        raise InputError(
            "store", rule, f"one that '{host}' does not see: '{run.parents[1]}'", remedy
        )
    answer.unlink()
    if not alive:
        rule = "lie where locks hold on all machines of `cluster`"
        raise InputError("store", rule, f"one where '{host}' sees none: '{run.parents[1]}'", remedy)
    if code != own_code():
        rule = "have workers with the same code and packages as here"
        raise InputError("cluster", rule, f"others on '{host}'", "Install the same there.")


@task(name="ask-a-worker", cache_policy=NO_CACHE, persist_result=False, retries=0)
def look_around(run: Path) -> tuple[str, bool, bool, str]:
    """Say on a worker who it is, whether it sees the run, and alive, and which code it has."""
    import socket

    seen = run.is_dir()
    if seen:
        (run / ANSWER).touch()
    return socket.gethostname(), seen, seen and not is_over(run), own_code()


def own_code() -> str:
    """Give the digest of the code and packages that train and predict here."""
    codes = map(fingerprint, SHARED_OUT)
    return digest_of([[code.modules, code.packages] for code in codes])


def _require_reachable_server(cluster: str) -> None:
    """Check that workers on other machines can reach the server.

    Raises:
        InputError: it listens on loopback, and they don't.
    """
    url = PREFECT_API_URL.value() or ""
    if urlsplit(cluster).hostname in LOOPBACK or urlsplit(url).hostname not in LOOPBACK:
        return
    rule = f"name a server that the workers at {cluster} reach"
    remedy = "It listens on this machine alone. Start one that they reach, and set the variable."
    raise InputError("PREFECT_API_URL", rule, f"'{url}'", remedy)
