"""Scan a folder of images: what is there, by class, and what can't be used.

Runs at every call; unchanged files are known by size, time of change and inode and not read
again. What is remembered of them lies beside the results, in a file that no key counts.
"""

import hashlib
import io
import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd

from resnext.contracts.json_files import write_json
from resnext.contracts.tables import parse_table, write_table
from resnext.data.decoding.levels import Levels, find_levels
from resnext.data.manifest import scan as manifest
from resnext.data.manifest.decisions import decide, describe_decisions, no_decisions
from resnext.data.manifest.describe import describe_scan
from resnext.data.manifest.settings import ReadingSettings
from tasks.callbacks.terminal import counting
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage
from tasks.stage.key import digest_of
from tasks.stage.store import replace_file

log = logging.getLogger(__name__)

LEVELS = "levels.json"
DECIDED = "decided.csv"
"""The decisions of a person, a row an image that is here."""


@stage(always=True, registered=("manifest.csv", "hashes.npy"))
def scan(
    work: Work,
    settings: ReadingSettings = ReadingSettings(),
    decisions: Annotated[Artifact | None, Reads()] = None,
    table: Annotated[Artifact | None, Reads()] = None,
    known: tuple[str, ...] = (),
) -> None:
    """Write manifest.csv, contents.txt, hashes.npy, levels.json, quarantine.csv of class folders.

    contents.txt holds the sha256 of every image, sorted, each once; levels.json how deep images
    are scaled; decided.csv what a person decided of which image. With a table of path,label it says
    which images there are. A folder may hold one class alone if that is among the `known` ones.
    """
    found = _scan(work, settings, None if table is None else table.single_path(), known)
    decided = no_decisions()
    if decisions is not None:
        found, decided = decide(found, work.images, decisions.single_path())
    _tell(found, decided)
    write_table(decided, work.out / DECIDED)
    write_json(find_levels(found.odd["measured"]).model_dump(), work.out / LEVELS)
    write_table(found.manifest, work.out / "manifest.csv")
    contents = "\n".join(sorted(set(found.manifest["sha256"].tolist())))
    (work.out / "contents.txt").write_text(f"{contents}\n", encoding="utf-8")
    np.save(work.out / "hashes.npy", found.hashes)
    write_table(found.quarantine, work.out / "quarantine.csv")


def read_levels(scanned: Artifact) -> Levels:
    """Read how deep images are scaled."""
    return Levels.model_validate_json(scanned.path(LEVELS).read_text(encoding="utf-8"))


def _scan(
    work: Work, settings: ReadingSettings, table: Path | None, known: tuple[str, ...]
) -> manifest.Scan:
    memory = work.store / "scan" / f"{digest_of(str(table or work.data))}.memory.csv"
    remembered = None if work.verify else _recall(memory)
    with counting("image", "scan", shown=work.progress_bar) as progress:
        of_folder = partial(manifest.scan, known=known)
        scanned = of_folder if table is None else manifest.scan_table
        found = scanned(
            table or work.images,
            settings,
            workers=work.workers,
            remembered=remembered,
            progress=progress,
        )
    if found.opened or remembered is None or len(found.memory) < len(remembered):
        _remember(found.memory, memory)
    return found


def _tell(found: manifest.Scan, decided: pd.DataFrame) -> None:
    log.info("\n".join(describe_scan(found)))
    if len(decided):
        log.info(describe_decisions(decided))
    for warning in found.warnings:
        log.warning(warning)


def _remember(read: pd.DataFrame, memory: Path) -> None:
    """Write down what was read, with a digest in front: a damaged memory must not be believed."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    written = io.BytesIO()
    write_table(read, written)
    table = written.getvalue()
    replace_file(memory, f"{hashlib.sha256(table).hexdigest()}\n".encode() + table)


def _recall(memory: Path) -> pd.DataFrame | None:
    try:
        digest, _, table = memory.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(table).hexdigest().encode() != digest:
        log.warning("what was remembered of the last scan is damaged: reading every image again")
        return None
    return parse_table(io.BytesIO(table))
