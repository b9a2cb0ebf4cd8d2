"""Predict a folder as the stage does, without torch where an exported model answers.

    python -m tests.benchmarks.predicting MODEL FOLDER OUT

Prints the peak memory of the program in MiB.
"""

import resource
import sys
from pathlib import Path

from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import list_sources
from resnext.device import count_cpus, plan_compute
from resnext.inference import shards
from resnext.inference.batch import FileToAnswer, Job
from resnext.inference.model import read_facts
from resnext.inference.predictor import Execution, RuntimeName


def job_of(model: Path) -> Job:
    """Give the job of a model file, as a run on a CPU has it."""
    runtime: RuntimeName = "onnx" if model.suffix == ".onnx" else "torch"
    execution = Execution(runtime=runtime, compute=plan_compute("cpu")).apart
    return Job(model, read_facts(model).card, execution, ReadingSettings(), False)


def files_of(source: Path) -> list[FileToAnswer]:
    """List what lies in a folder."""
    found = list_sources([source])
    return [FileToAnswer(f"{found.root}/{row.path}", row.path, row.reason) for row in found.files]


def predict(model: Path, source: Path, out: Path) -> None:
    """Predict a folder as the stage does, into a folder for its shards."""
    out.mkdir(exist_ok=True)
    job, files = job_of(model), files_of(source)
    shards.predict_in_shards(out, job, files, 1.0, count_cpus(), lambda *_: None)
    shards.join_shards(out, shards.PREDICTIONS, out / "predictions.csv")


if __name__ == "__main__":
    predict(*map(Path, sys.argv[1:]))
    scale = 1024 * (1024 if sys.platform == "darwin" else 1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)
