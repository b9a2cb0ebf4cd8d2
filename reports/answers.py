"""Write the answers to a batch as a table for other programs: CSV, Parquet or JSON lines.

The first columns say what is answered, and are empty where an image is referred; those of
batch_predictions.csv follow. Rows are written
some at a time, so that memory stays flat.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeAlias

import pandas as pd

from reports.prediction import answer_of
from resnext.contracts.errors import InputError
from resnext.contracts.remote import Place, is_address, open_address, upload
from resnext.contracts.tables import TEXT_COLUMNS, write_table
from resnext.contracts.threshold import REFER

Write: TypeAlias = Callable[[pd.DataFrame], None]

ROWS_AT_ONCE = 10_000
TEXT = TEXT_COLUMNS | {"answer"}


def require_format(place: Place) -> None:
    """Check that a table can be written under that name.

    Raises:
        InputError: it has another suffix, or no folder that takes it; or the package of its
            address is missing.
    """
    file = Path(place)
    if file.suffix not in WRITERS:
        rule = f"end in {', '.join(list(WRITERS)[:-1])} or {list(WRITERS)[-1]}"
        raise InputError("output", rule, f"'{file.name}'")
    if is_address(place):
        open_address(str(place), "output")
    elif not file.parent.is_dir():
        remedy = "Make it, or name another file."
        raise InputError("output", "lie in a folder that is there", f"'{file.parent}'", remedy)
    elif file.is_dir() or not os.access(file.parent, os.W_OK):
        raise InputError("output", "be a file that can be written", f"'{file}'", "Name another.")


def write_answers(
    rows: Iterable[Mapping[str, str]], place: Place, calibration: Mapping[str, Any], top: int
) -> None:
    """Write the rows of batch_predictions.csv, each after its answer and the `top` classes.

    Raises:
        InputError: it can't be written there.
    """
    if is_address(place):
        with TemporaryDirectory() as folder:
            local = Path(folder) / Path(place).name
            write_answers(rows, local, calibration, top)
            upload(local, str(place), "output")
        return
    file = Path(place)
    partial = file.with_name(f"{file.name}.partial")
    try:
        with WRITERS[file.suffix](partial) as write:
            answered = (_with_answer(row, calibration, top) for row in rows)
            while some := list(islice(answered, ROWS_AT_ONCE)):
                table = pd.DataFrame(some)
                write(table.astype({name: _kind_of(name) for name in map(str, table)}))
        partial.replace(file)
    except FileNotFoundError as error:  # a folder that takes no files, or that is gone
        remedy = "The predictions are kept. Name another one, and run the same command again."
        raise InputError("output", "be a file that can be written", f"'{file}'", remedy) from error


def _with_answer(
    row: Mapping[str, str], calibration: Mapping[str, Any], top: int
) -> dict[str, object]:
    names = ["answer", *(f"answer_{rank}" for rank in range(2, top + 1))]
    if row["status"] != "ok" or row.get("referral") == REFER:
        pairs: list[tuple[str, float | None]] = [("", None)] * len(names)
    else:
        answer = answer_of(row, calibration, top)
        pairs = [(answer.name, answer.probability), *answer.others]
        pairs += [("", None)] * (len(names) - len(pairs))  # of fewer classes
    answers: dict[str, object] = {}
    for name, (called, share) in zip(names, pairs, strict=True):
        answers |= {name: called, name.replace("answer", "probability"): share}
    numbers = {
        name: cell if _kind_of(name) == "str" else float(cell or "nan")
        for name, cell in row.items()
    }
    return {"path": row["path"], **answers, **numbers}


def _kind_of(name: str) -> str:
    return "str" if name in TEXT or name.startswith("answer_") else "float64"


# ---------------------------------------------------------------- formats


@contextmanager
def _csv(file: Path) -> Iterator[Write]:
    with file.open("wb") as written:

        def write(table: pd.DataFrame) -> None:
            lines = io.BytesIO()
            write_table(table, lines)
            lines.seek(0)
            if written.tell():
                lines.readline()  # the header
            written.write(lines.read())

        yield write


@contextmanager
def _json_lines(file: Path) -> Iterator[Write]:
    with file.open("w", encoding="utf-8", newline="\n") as written:

        def write(table: pd.DataFrame) -> None:
            for row in table.astype(object).where(table.notna(), None).to_dict("records"):
                written.write(f"{json.dumps(row, ensure_ascii=False)}\n")

        yield write


@contextmanager
def _parquet(file: Path) -> Iterator[Write]:
    import fastparquet

    opened: list[IO[bytes]] = []

    def open_with(path: str, mode: str = "rb") -> IO[bytes]:
        file = Path(path).open(mode)  # noqa: SIM115 - the library leaves some of them open
        opened.append(file)
        return file

    def write(table: pd.DataFrame) -> None:
        more = file.exists()
        fastparquet.write(
            str(file), table, append=more, object_encoding="utf8", open_with=open_with
        )
        for each in opened:
            each.close()
        opened.clear()

    file.unlink(missing_ok=True)
    yield write


WRITERS = {".csv": _csv, ".parquet": _parquet, ".jsonl": _json_lines}
