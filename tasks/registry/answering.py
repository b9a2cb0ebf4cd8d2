"""How a model answers: by which runtime, from which file, with which calibration."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from resnext.contracts.errors import InputError
from resnext.device import MemoryFormat, plan_compute
from resnext.inference.execution import Execution, RuntimeName
from resnext.inference.exported import FILE, SUFFIX
from resnext.inference.model import CALIBRATION, Model, read_facts
from resnext.inference.predictor import open_judging
from resnext.inference.reference import reference_beside
from resnext.models.model_file import ModelCard
from tasks.registry.choose_model import unaltered
from tasks.stage.artifact import Artifact
from tasks.stage.store import is_altered

log = logging.getLogger(__name__)


class Answering(NamedTuple):
    """A model that is ready to answer: its one file, and how that is computed."""

    model: Artifact
    execution: Execution
    card: ModelCard
    calibration: Mapping[str, Any]
    """Empty where there is none."""
    reference: Artifact | None = None
    """Features of the images that it was trained on, if they lie beside it."""

    @property
    def temperature(self) -> float:
        """Give the temperature of the calibration, 1 without one."""
        return float(self.calibration.get("temperature", 1.0))

    def open(self) -> Model:
        """Open the model to answer single images.

        Raises:
            InputError: see `open_judging`.
        """
        known = None if self.reference is None else self.reference.single_path()
        judge = open_judging(self.model.single_path(), self.execution, known)
        return Model(judge, self.card, self.calibration)


def choose_answering(
    file: Path,
    runtime: RuntimeName | None,
    device: str,
    memory_format: MemoryFormat | None = None,
) -> Answering:
    """Choose how a model answers: on a CPU by the export that lies beside it, if there is one.

    `runtime` and `memory_format`, of torch, are the user's choice, None without one.

    Raises:
        InputError: the model was altered, it has no export that the runtime takes, or the device
            is not there.
    """
    if memory_format is not None and runtime in ("onnx", "openvino"):
        remedy = "Leave one of the two out."
        raise InputError("memory_format", "go with `runtime` torch", runtime, remedy)
    model = unaltered(file, "model")
    if file.suffix == SUFFIX:
        return _exported(model, runtime, device)
    compute = plan_compute(device, memory_format=memory_format)
    if runtime != "torch" and compute.device == "cpu" and memory_format is None:
        exported = _export_beside(file, [*model.files.values()])
        if exported is not None:
            return _exported(exported, runtime, "cpu")
    if runtime not in (None, "torch"):
        rule, got = f"have an exported model beside it for {runtime}", f"'{file}' without {FILE}"
        remedy = "Make one by flows/export.py, or leave the flag out."
        raise InputError("runtime", rule, got, remedy)
    beside = file.with_name(CALIBRATION)
    if beside.is_file():
        unaltered(beside, CALIBRATION)
    else:
        log.info("calibrated_ columns repeat p_ (temperature 1): no %s by the model", CALIBRATION)
    execution = Execution(runtime="torch", compute=compute)
    known = _reference_beside(file, [*model.files.values()])
    return Answering(model, execution, *read_facts(file)[:2], known)


def _exported(model: Artifact, runtime: RuntimeName | None, device: str) -> Answering:
    if device not in ("auto", "cpu"):
        raise InputError("device", "be auto or cpu for an exported model", device, "Leave it out.")
    if runtime == "torch":
        remedy = "Name its model.safetensors, or leave the flag out."
        raise InputError("runtime", "be onnx or openvino for an exported model", runtime, remedy)
    facts = read_facts(model.single_path())
    execution = Execution(runtime=runtime or "onnx", compute=plan_compute("cpu"))
    known = _reference_beside(model.single_path(), [facts.made_of])
    return Answering(model, execution, facts.card, facts.calibration, known)


def _reference_beside(file: Path, digests: list[str]) -> Artifact | None:
    """Give the reference that lies beside a model, where it was made with it and not altered."""
    beside = reference_beside(file, digests)
    return None if beside is None or is_altered(beside) else Artifact.of_file(beside)


def _export_beside(file: Path, digests: list[str]) -> Artifact | None:
    """Give the export that lies beside a model, where it was made of that one and not altered."""
    beside = file.with_name(FILE)
    if not beside.is_file() or is_altered(beside):
        return None
    with suppress(InputError):  # a file of somebody else's
        return Artifact.of_file(beside) if read_facts(beside).made_of in digests else None
    return None
