import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from pydantic import ValidationError

from resnext import device
from resnext.contracts.errors import InputError
from resnext.device import Compute, apply, describe, plan_compute

CPU = Compute(
    device="cpu", threads=2, precision="fp32", memory_format="channels_last", deterministic=False
)


def pretend(
    monkeypatch: pytest.MonkeyPatch,
    *,
    build: str | None = None,
    capability: int | None = None,
    mps: bool = False,
) -> None:
    monkeypatch.setattr(device, "probe_build", lambda: build)
    monkeypatch.setattr(device, "probe_driver", lambda: capability)
    monkeypatch.setattr(device, "probe_mps", lambda: mps)


@pytest.fixture
def restored_torch() -> Iterator[None]:
    """Put torch's process-wide settings back."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


@pytest.mark.parametrize(
    ("build", "capability", "mps", "expected"),
    [
        (None, None, False, ("cpu", "fp32")),
        ("13.0", None, False, ("cpu", "fp32")),  # a CUDA build, but no device
        (None, 9, False, ("cpu", "fp32")),  # a device, but no CUDA build
        ("13.0", 9, False, ("cuda", "bf16")),
        ("13.0", 8, False, ("cuda", "bf16")),
        ("13.0", 7, False, ("cuda", "fp32")),
        (None, None, True, ("mps", "fp32")),
    ],
)
def test_auto_takes_the_fastest_device_and_the_precision_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
    build: str | None,
    capability: int | None,
    mps: bool,
    expected: tuple[str, str],
) -> None:
    pretend(monkeypatch, build=build, capability=capability, mps=mps)
    plan = plan_compute("auto")
    assert (plan.device, plan.precision) == expected
    assert plan_compute("cpu").device == "cpu"


@pytest.mark.parametrize(
    ("name", "build", "text"),
    [
        ("cuda", None, "The installed torch has no CUDA. Install a CUDA build, or"),
        ("cuda", "13.0", "The NVIDIA driver shows no CUDA device. Install driver and device, or"),
        ("mps", None, "It is found on Macs with Apple silicon. Choose"),
    ],
)
def test_a_missing_device_is_answered_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, build: str | None, text: str
) -> None:
    pretend(monkeypatch, build=build)
    with pytest.raises(InputError) as caught:
        plan_compute(name)
    message = str(caught.value)
    assert message.startswith(f"device must be one that this machine has, got {name!r}. {text}")
    assert message.endswith("`device` cpu or `device` auto.")


def test_an_unknown_device_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^device must be auto, cpu, cuda or mps, got 'tpu'\.$"):
        plan_compute("tpu")


def test_each_device_has_its_usual_memory_format_unless_another_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, build="13.0", capability=9, mps=True)
    formats = {name: plan_compute(name).memory_format for name in ("cpu", "cuda", "mps")}
    assert formats == {"cpu": "contiguous", "cuda": "channels_last", "mps": "contiguous"}
    assert plan_compute("cpu", memory_format="channels_last").memory_format == "channels_last"


def test_threads_are_the_cpus_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= device.count_cpus() <= (os.cpu_count() or 1)
    monkeypatch.setattr(device, "count_cpus", lambda: 3)
    assert plan_compute("cpu").threads == 3


@pytest.mark.parametrize(
    ("limit", "expected"), [("150000 100000", 2), ("max 100000", 8), ("50000 100000", 1), ("", 8)]
)
def test_a_container_that_limits_the_cpus_is_heeded(
    limit: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(device, "CPU_LIMITS", ((str(tmp_path / "cpu.max"),),))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert device.count_cpus() == expected
    (tmp_path / "quota").write_text("-1")
    (tmp_path / "period").write_text("100000")
    files = tuple(str(tmp_path / name) for name in ("quota", "period"))
    monkeypatch.setattr(device, "CPU_LIMITS", (files,))
    assert device.count_cpus() == 8, "version 1 without a limit"
    (tmp_path / "quota").write_text("300000")
    assert device.count_cpus() == 3


def test_the_processor_has_a_name() -> None:
    assert len(device.processor()) > 2


def test_the_plan_says_on_this_machine_what_torch_says() -> None:
    assert device.probe_build() == torch.version.cuda
    found = device.probe_build() is not None and device.probe_driver() is not None
    assert found == torch.cuda.is_available()
    assert device.probe_mps() == torch.backends.mps.is_available()


def fake_driver(count: int = 1, failing: str = "") -> SimpleNamespace:
    """Answer as a driver with one device of compute capability 9 does, unless told to fail."""

    def answer(name: str, value: int) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            for reference in arguments[:1]:
                if hasattr(reference, "_obj"):
                    reference._obj.value = value
            return 100 if name == failing else 0

        return call

    values = {"cuInit": 0, "cuDeviceGetCount": count, "cuDeviceGet": 0, "cuDeviceGetAttribute": 9}
    return SimpleNamespace(**{name: answer(name, value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("driver", "capability"),
    [
        (fake_driver(), 9),
        (fake_driver(count=0), None),
        *((fake_driver(failing=f"cu{name}"), None) for name in ("Init", "DeviceGetCount",
          "DeviceGet", "DeviceGetAttribute")),
    ],
)  # fmt: skip
def test_the_driver_is_asked_for_the_first_devices_capability(
    monkeypatch: pytest.MonkeyPatch, driver: SimpleNamespace, capability: int | None
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    assert device.probe_driver() == capability


def test_without_driver_or_torch_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", Mock(side_effect=OSError("cannot open shared object file")))
    assert device.probe_driver() is None
    assert device.probe_memory() == 0
    monkeypatch.setattr(device, "find_spec", lambda _: None)
    assert device.probe_build() is None


def test_planning_and_checking_names_import_no_torch() -> None:
    code = (
        "import sys, resnext.device, resnext.models.architectures\n"
        "resnext.models.architectures.find_architecture('resnext50_32x4d')\n"
        "plan = resnext.device.plan_compute('auto')\n"
        "resnext.device.describe(plan)\n"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.usefixtures("restored_torch")
@pytest.mark.parametrize("deterministic", [True, False])
def test_apply_sets_torch_up_as_planned(deterministic: bool) -> None:
    plan = CPU.model_copy(update={"threads": 1, "deterministic": deterministic})
    assert apply(plan) == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert torch.backends.cudnn.deterministic is deterministic
    assert torch.backends.cudnn.benchmark is not deterministic


@pytest.mark.usefixtures("restored_torch")
def test_apply_refuses_a_device_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^device must be one that torch can use, got 'cuda'\. "):
        apply(CPU.model_copy(update={"device": "cuda"}))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("restored_torch")
def test_a_cuda_device_is_planned_and_used() -> None:
    assert apply(plan_compute("auto")).type == "cuda"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "CPU, 2 threads, fp32, channels last, not compiled"),
        (
            {"threads": 1, "memory_format": "contiguous", "compiled": True},
            "CPU, 1 thread, fp32, contiguous, compiled",
        ),
        (
            {"device": "cuda", "precision": "bf16", "deterministic": True},
            "CUDA, bf16, channels last, not compiled, deterministic",
        ),
    ],
)
def test_a_plan_reads_as_one_line(changed: dict[str, Any], text: str) -> None:
    assert describe(CPU.model_copy(update=changed)) == text


def test_a_plan_does_not_change_and_holds_only_known_values() -> None:
    with pytest.raises(ValidationError):
        CPU.threads = 4  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Compute.model_validate(CPU.model_dump() | {"threads": 0})
    with pytest.raises(ValidationError):
        Compute.model_validate(CPU.model_dump() | {"precision": "fp16"})
