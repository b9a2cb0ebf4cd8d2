"""What a stage gives back, and what a stage knows of the machine that it runs on.

Nothing here reads or writes a file but `Artifact.of_file`; `tasks.stage.store` does that.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FILE = "file"
"""The stage of what came from outside the store."""
PROCESSES = "processes"
"""Shares work out to processes of this machine, and to no cluster."""
current_stage: ContextVar[str] = ContextVar("current_stage", default="")
"""What log lines begin with: the stage that is at work, and the network that it is about."""


class Reads:
    """Name, inside `Annotated`, the files of an input artifact that a stage reads.

    Only these files count in the stage's cache key, and only these can be opened by it. No name
    means all of them. `uncounted` ones can be opened too but are not in the key: they say where
    things lie, not what they are.
    """

    def __init__(self, *files: str, uncounted: tuple[str, ...] = ()) -> None:
        self.files, self.uncounted = files, uncounted


class Artifact(BaseModel):
    """Point at the finished files of one stage."""

    model_config = ConfigDict(frozen=True)

    stage: str
    key: str
    folder: Path
    files: Mapping[str, str] = Field(description="sha256 by file name, relative to the folder")
    clock_files: tuple[str, ...] = Field(
        default=(), description="files that no digest covers, such as those of clock times"
    )

    @classmethod
    def of_file(cls, path: Path) -> "Artifact":
        """Treat one file from outside the store as an artifact that is known by its bytes.

        Raises:
            OSError: the file can't be read.
        """
        digest = sha256_of(path)
        return cls(stage=FILE, key=digest[:20], folder=path.parent, files={path.name: digest})

    def is_as_hashed(self) -> bool:
        """Tell whether the bytes are those of the digests still; True of what a stage wrote."""
        paths = {self.folder / name: digest for name, digest in self.files.items()}
        return self.stage != FILE or all(
            path.is_file() and sha256_of(path) == digest for path, digest in paths.items()
        )

    def path(self, name: str) -> Path:
        """Give the path of one file.

        Raises:
            KeyError: this artifact, or this view of it, holds no such file.
        """
        if name in self.files or name in self.clock_files:
            return self.folder / name
        known = ", ".join([*self.files, *self.clock_files])
        raise KeyError(f"artifact {self.stage}/{self.key} has no file {name!r}, only: {known}")

    def single_path(self) -> Path:
        """Give the path of the one file that there is.

        Raises:
            ValueError: there are several, or none.
        """
        (name,) = self.files
        return self.folder / name

    def only(self, names: Iterable[str], uncounted: Iterable[str] = ()) -> "Artifact":
        """Give a view that holds just these files, the uncounted ones without a digest.

        Raises:
            KeyError: one of them isn't there.
        """
        wanted, more = tuple(names), tuple(uncounted)
        for name in wanted + more:
            self.path(name)
        return self.model_copy(
            update={
                "files": {name: self.files[name] for name in wanted if name in self.files},
                "clock_files": (*(name for name in wanted if name in self.clock_files), *more),
            }
        )


class Runtime(BaseModel):
    """Say where things lie and how fast to go: what a stage knows but no key counts."""

    model_config = ConfigDict(frozen=True)

    store: Path = Field(description="root of the artifact store")
    run: Path | None = Field(default=None, description="folder of this run, linked as stages end")
    data: Path | None = Field(default=None, description="root of the images")
    address: str = Field(default="", description="that of the root, where images are not here")
    cluster: str = Field(default=PROCESSES, description="where work is shared out to")
    leader: Path | None = Field(
        default=None, description="on a cluster's worker: folder of the run that it works for"
    )
    workers: int = Field(default=1, ge=0, description="processes that read images")
    log_interval: int = Field(default=10, ge=1, description="steps between two progress updates")
    verify: bool = Field(default=False, description="hash every cached file again, big ones too")
    meeting: str | None = Field(
        default=None, description="where the processes of torchrun meet, which train together"
    )
    label: str = Field(default="", description="what log lines begin with, before the stage")
    progress_bar: bool = Field(default=False, description="draw a moving bar on standard error")
    script_lines: bool = Field(
        default=False, description="print epochs as the script did that the project began as"
    )


class Work(Runtime):
    """What a stage's function is given: the runtime, and the folder that it writes into."""

    out: Path
    scratch: Path = Field(description="folder for what only a stopped run needs, to go on")

    @property
    def images(self) -> Path:
        """Give the root of the images.

        Raises:
            ValueError: the runtime names none.
        """
        if self.data is None:
            raise ValueError("runtime.data must name the folder of images, got None")
        return self.data


def sha256_of(path: Path) -> str:
    """Hash a file in pieces, so that its size doesn't matter."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
