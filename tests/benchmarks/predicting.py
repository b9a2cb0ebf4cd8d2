"""Predict a folder as the stage does, without torch where an exported model answers.

    python -m tests.benchmarks.predicting MODEL FOLDER OUT

With "loop" for OUT it answers one file after the other, as a plain script would. Prints the peak
memory of the program in MiB.
"""

import sys
from pathlib import Path

from resnext.data.manifest.settings import ReadingSettings
from resnext.data.manifest.sources import list_sources
from resnext.device import count_cpus, plan_compute
from resnext.inference import shards
from resnext.inference.batch import FileToAnswer, Job
from resnext.inference.execution import Execution, RuntimeName
from resnext.inference.model import read_facts

LOOP = "loop"


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


def one_by_one(model: Path, source: Path) -> None:
    """Answer one file after the other, with all threads."""
    import torch
    from PIL import Image
    from torchvision.transforms import Compose, Normalize, Resize, ToTensor

    from resnext.models.model_file import load_network

    torch.set_num_threads(count_cpus())
    network, card = load_network(model)
    size = (card.image_size, card.image_size)
    steps = Compose([Resize(size), ToTensor(), Normalize(card.mean, card.std)])
    for path in sorted(each for each in source.rglob("*") if each.is_file()):
        with torch.no_grad(), Image.open(path) as image:
            network(steps(image.convert("RGB"))[None]).softmax(dim=1).argmax().item()


def peak_memory() -> float:
    """Give the peak memory of this program in MiB; `getrusage` counts its parent's in."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return float(found) / 1024


if __name__ == "__main__":
    model, source, out = sys.argv[1:]
    if out == LOOP:
        one_by_one(Path(model), Path(source))
    else:
        predict(Path(model), Path(source), Path(out))
    print(peak_memory())
