"""Predict image files in one pass: each is read, hashed, decoded and answered, and read no more.

On a CPU every process reads and answers by one thread, since that is faster than one process with
as many threads. For a GPU processes read, and this one answers. Which images are answered
together follows from their order alone: the bytes do not hang on how many processes there are.

A file that can't be used has no answer, and its reason. No file is missing, and none takes
another's place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnext.contracts.errors import InputError
from resnext.contracts.remote import fetch, is_address
from resnext.data.decoding.decode import Decoded, admitted_pixels, decode, quiet, to_rgb
from resnext.data.decoding.levels import how_scaled
from resnext.data.manifest.reading import Reading, crashed, read_bytes, read_image, why_refused
from resnext.data.manifest.settings import ReadingSettings
from resnext.data.pixels import DETAIL, Pixels, Progress, to_square
from resnext.data.processes import map_chunks
from resnext.data.thumbnails import as_uri, shrink
from resnext.device import Compute
from resnext.inference.calibration import AnswerRule
from resnext.inference.execution import Execution, FloatArray, Judging
from resnext.inference.exported import TOLERANCE
from resnext.inference.predictor import open_judging, open_predictor
from resnext.models.model_file import ModelCard

AT_ONCE = {"cpu": 4, "cuda": 64, "mps": 64}  # images that are computed together
CHUNK = 8  # images that are handed to a process at a time
CHECKED = 16  # files whose answers two runtimes are compared by
WORTH_A_POOL = 33  # images from which starting processes pays
THUMBNAIL = 96  # pixels, of the longer side


class Job(NamedTuple):
    """What a process must know to answer files."""

    model: Path
    card: ModelCard
    execution: Execution
    reading: ReadingSettings
    thumbnails: bool
    rule: AnswerRule = AnswerRule()
    reference: Path | None = None
    """What tells how unlike the training images an image is."""


class FileToAnswer(NamedTuple):
    """One file: path or address, what it is called, and why it can't be read if that is known."""

    file: str
    path: str
    reason: str


class Answered(NamedTuple):
    """What is known of one file: what it says, and log-probabilities (C,) where it has some."""

    reading: Reading
    logs: FloatArray | None = None
    note: str = ""
    """What is odd about an image that was answered."""
    thumbnail: str = ""
    """The image, small, as a data URI."""
    unlike: float = math.nan
    """How unlike the training images it is, 0..1; NaN where that is not known."""


class _Seen(NamedTuple):
    """A file that was read, with the pixels (S, S, 3) that the network is to see."""

    answered: Answered
    pixels: Pixels | None


def answer_files(
    job: Job, files: Sequence[FileToAnswer], workers: int, progress: Progress | None = None
) -> Iterator[Answered]:
    """Answer files, in their order; `progress` is called with files done and files in all.

    Raises:
        InputError: the model can't be read.
    """
    workers = workers if len(files) >= WORTH_A_POOL else 1
    if job.execution.compute.device == "cpu":
        work = partial(_answer_some, job)
        yield from map_chunks(work, files, workers, _crashed, progress, chunk=CHUNK)
        return
    judge = open_judging(job.model, job.execution, job.reference)
    read = map_chunks(partial(_read_some, job), files, workers, _unread, progress, chunk=CHUNK)
    while some := list(islice(read, AT_ONCE[job.execution.compute.device])):
        yield from _answers(judge, some, job.execution.compute)


def require_agreement(job: Job, files: Sequence[FileToAnswer]) -> None:
    """Check that OpenVINO answers the first images as ONNX Runtime does, which was itself checked.

    Raises:
        InputError: it does not, on this processor.
    """
    if job.execution.runtime != "openvino":
        return
    seen = [each.pixels for each in _read_some(job, files[:CHECKED]) if each.pixels is not None]
    known = job.execution.model_copy(update={"runtime": "onnx"})
    predictors = [open_predictor(job.model, how) for how in (job.execution, known)]
    one, other = ([np.exp(predict(pixels[None])) for pixels in seen] for predict in predictors)
    if not np.allclose(one, other, rtol=0, atol=TOLERANCE):
        rule, got = "answer as ONNX Runtime does here", "other probabilities of openvino"
        raise InputError("runtime", rule, got, "Leave the flag out.")


# ---------------------------------------------------------------- in a process


def _answer_some(job: Job, files: Sequence[FileToAnswer]) -> list[Answered]:
    judge = _opened(job, job.model.stat().st_mtime_ns)
    return _answers(judge, _read_some(job, files), job.execution.compute)


@lru_cache(1)
def _opened(job: Job, changed: int) -> Judging:  # noqa: ARG001 - another time, another file
    """Open a model once in a process."""
    return open_judging(job.model, job.execution, job.reference)


def _answers(judge: Judging, seen: Sequence[_Seen], compute: Compute) -> list[Answered]:
    """Answer the images among some files, a few at once."""
    found = [each.answered for each in seen]
    usable = [(row, each.pixels) for row, each in enumerate(seen) if each.pixels is not None]
    step = AT_ONCE[compute.device]
    for start in range(0, len(usable), step):
        some = usable[start : start + step]
        logs, unlike = judge(np.stack([pixels for _, pixels in some]))  # (B, C), (B,)
        for (row, _), each, far in zip(some, logs, unlike.tolist(), strict=True):
            found[row] = found[row]._replace(logs=each, unlike=far)
    return found


def _read_some(job: Job, files: Sequence[FileToAnswer]) -> list[_Seen]:
    """Read some files with Pillow's warnings kept from the terminal; those elsewhere at once."""
    elsewhere = [each.file for each in files if is_address(each.file) and not each.reason]
    fetched = dict(zip(elsewhere, fetch(elsewhere), strict=True)) if elsewhere else {}

    def read(file: str) -> bytes:
        data = fetched[file] if file in fetched else read_bytes(file)
        if isinstance(data, OSError):
            raise data
        return data

    with quiet():
        return [_read(job, file, read) for file in files]


def _read(job: Job, file: FileToAnswer, read: Callable[[str], bytes]) -> _Seen:
    """Read one file, and make of it what the network sees."""
    if file.reason:
        return _Seen(Answered(Reading(reason=file.reason)), None)
    card, most = job.card, admitted_pixels(job.reading.max_pixels)
    least = DETAIL * card.image_size
    decoding = partial(decode, levels=card.levels, at_least=least, max_pixels=most, mend=True)
    reading, seen = read_image(file.file, decoding, partial(_look, job), read)
    reading = reading._replace(reason=why_refused(reading, job.reading.truncated == "keep", most))
    if seen is None or reading.reason:
        return _Seen(Answered(reading), None)
    pixels, thumbnail = seen
    return _Seen(Answered(reading, None, note_of(reading, card), thumbnail), pixels)


def _look(job: Job, decoded: Decoded) -> tuple[Pixels, str]:
    """Give what the network sees, as `read_scanned` and `to_square` give it, and a thumbnail."""
    image = to_rgb(decoded.upright)
    thumbnail = as_uri(shrink(image, THUMBNAIL)) if job.thumbnails else ""
    return to_square(image, job.card.image_size, job.card.fit), thumbnail


def note_of(reading: Reading, card: ModelCard) -> str:
    """Say what is out of the ordinary with an image that is answered."""
    notes = [
        how_scaled(reading.measured, card.levels) if reading.measured else "",
        "the first of several pages or frames" if reading.pages > 1 else "",
        "truncated: what is missing is grey" if reading.cut else "",
    ]
    return "; ".join(filter(None, notes))


def _crashed(file: FileToAnswer) -> Answered:
    return Answered(crashed(file.file))


def _unread(file: FileToAnswer) -> _Seen:
    return _Seen(_crashed(file), None)
