"""Where and how the arithmetic is done: device, threads, precision, memory format.

`plan_compute` decides without importing torch, so that a run which finds all its results cached
never loads it: the build is read from torch's `version.py`, CUDA devices are asked for at the
NVIDIA driver. `apply` imports torch, sets it up accordingly and has it confirm the device.

Not done here: several devices, ROCm (such builds run on the CPU), moving models or data.
"""

import ctypes
import os
import platform
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from resnext.contracts.errors import InputError

if TYPE_CHECKING:
    import torch

Device = Literal["cpu", "cuda", "mps"]
MemoryFormat = Literal["contiguous", "channels_last"]

# Measured by `make bench`, its third table: the format with the higher training rate in the mean
# over 64, 96 and 224 px. At 224 px resnext101_32x8d trains equally fast in both.
MEMORY_FORMATS: dict[tuple[Device, str], MemoryFormat] = {
    ("cpu", "resnext50_32x4d"): "channels_last",
    ("cpu", "resnext101_32x8d"): "contiguous",
    ("cpu", "resnext38_32x4d"): "channels_last",
}
# Pairs for which `torch.compile` pays, measured by `make bench`, its fourth table: none on a CPU,
# where it gained nothing and takes up to a minute at the start of every process. CUDA was not
# measured.
COMPILED: frozenset[tuple[Device, str]] = frozenset()
# For pairs that are not in the table. CUDA was not measured: tensor cores read channels last.
FALLBACK_FORMATS: dict[Device, MemoryFormat] = {
    "cpu": "contiguous",
    "cuda": "channels_last",
    "mps": "contiguous",
}

BF16_CAPABILITY = 8
"""The major compute capability from which CUDA devices compute in bfloat16 (Ampere)."""

_COMPUTE_CAPABILITY_MAJOR = 75  # CUdevice_attribute of the CUDA driver API


class Compute(BaseModel, frozen=True):
    """Hold what changes numbers besides data, recipe and seed: part of the cache keys."""

    device: Device
    threads: int = Field(ge=1, description="CPU threads of one operator")
    precision: Literal["fp32", "bf16"]
    memory_format: MemoryFormat
    deterministic: bool
    compiled: bool = False


def plan_compute(device: str, architecture: str, deterministic: bool) -> Compute:
    """Choose the device and how it computes, without importing torch.

    `auto` takes a CUDA device, else Apple's GPU (mps), else the CPU. The threads are as many as
    there are CPUs that this process may use. CUDA computes in bf16 where it can, the rest in fp32.
    An architecture that is not in `MEMORY_FORMATS` gets the fall-back of its device.

    Asking the driver initialises CUDA in this process: a child started by fork can't use CUDA
    then, one started by spawn can.

    Raises:
        InputError: for a device that is unknown, or that this machine does not have.
    """
    found = _resolve(device)
    bf16 = found == "cuda" and (probe_driver() or 0) >= BF16_CAPABILITY
    return Compute(
        device=found,
        threads=count_cpus(),
        precision="bf16" if bf16 else "fp32",
        memory_format=MEMORY_FORMATS.get((found, architecture), FALLBACK_FORMATS[found]),
        deterministic=deterministic,
        compiled=(found, architecture) in COMPILED,
    )


def apply(compute: Compute) -> "torch.device":
    """Set torch up for this process and return the device.

    fp32 means fp32: TF32 is off. cuDNN tries its algorithms out unless `deterministic`, since its
    choice can differ from run to run.

    Raises:
        InputError: where torch can't use the device.
    """
    if compute.device == "cuda" and compute.deterministic:
        # Read by cuBLAS when it starts; without it torch refuses deterministic products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    _confirm(compute.device)
    torch.set_num_threads(compute.threads)
    torch.use_deterministic_algorithms(compute.deterministic)
    torch.backends.cudnn.deterministic = compute.deterministic
    torch.backends.cudnn.benchmark = not compute.deterministic
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(compute.device)


def describe(compute: Compute) -> str:
    """Render one line for a person, e.g. "CPU, 2 threads, fp32, channels last, not compiled"."""
    parts = [compute.device.upper()]
    if compute.device == "cpu":
        parts.append(f"{compute.threads} thread{'s' if compute.threads > 1 else ''}")
    parts += [compute.precision, compute.memory_format.replace("_", " ")]
    parts.append("compiled" if compute.compiled else "not compiled")
    if compute.deterministic:
        parts.append("deterministic")
    return ", ".join(parts)


def count_cpus() -> int:
    """Count the CPUs that this process may use, at least 1."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def probe_build() -> str | None:
    """Return the CUDA version that the installed torch was built for, None without one.

    None too where torch is not installed. Runs `version.py` alone: torch is not imported.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version: str | None = runpy.run_path(str(Path(spec.origin).parent / "version.py")).get("cuda")
    return version


def probe_driver() -> int | None:
    """Return the major compute capability of the first CUDA device, None where there is none.

    The driver itself leaves out devices that CUDA_VISIBLE_DEVICES hides.

    Source: CUDA driver API, sections 6.2 and 6.5, https://docs.nvidia.com/cuda/cuda-driver-api/.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    count, device, major = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGetCount(ctypes.byref(count))
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _COMPUTE_CAPABILITY_MAJOR, device)
    )
    return None if failed or count.value == 0 else major.value


def probe_memory() -> int:
    """Return the bytes of memory of the first CUDA device, 0 where there is none.

    Source: CUDA driver API, section 6.5, https://docs.nvidia.com/cuda/cuda-driver-api/.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    device, size = ctypes.c_int(), ctypes.c_size_t()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    )
    return 0 if failed else size.value


def probe_mps() -> bool:
    """Tell whether this machine has Apple's GPU."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _resolve(device: str) -> Device:
    """Turn the user's word into a device that this machine has."""
    if device == "cpu":
        return "cpu"
    if device == "cuda":
        return _require_cuda()
    if device == "mps":
        return _require_mps()
    if device == "auto":
        return _find()
    raise InputError(
        "device",
        "be auto, cpu, cuda or mps",
        f"{device!r}",
    )


def _find() -> Device:
    """Take the fastest kind of device that this machine has."""
    if probe_build() is not None and probe_driver() is not None:
        return "cuda"
    return "mps" if probe_mps() else "cpu"


def _require_cuda() -> Device:
    """Return "cuda", or say what is missing for it."""
    if probe_build() is None:
        why = "The installed torch has no CUDA. Install a CUDA build"
    elif probe_driver() is None:
        why = "The NVIDIA driver shows no CUDA device. Install driver and device"
    else:
        return "cuda"
    raise _not_here("cuda", f"{why}, or choose `device` cpu or `device` auto.")


def _require_mps() -> Device:
    """Return "mps", or say what is missing for it."""
    if not probe_mps():
        raise _not_here(
            "mps", "It is found on Macs with Apple silicon. Choose `device` cpu or `device` auto."
        )
    return "mps"


def _not_here(device: Device, remedy: str) -> InputError:
    return InputError("device", "be one that this machine has", f"{device!r}", remedy)


def _confirm(device: Device) -> None:
    """Have torch say whether it can use the device."""
    import torch

    mps = torch.backends.mps.is_available
    usable = device == "cpu" or (torch.cuda.is_available() if device == "cuda" else mps())
    if not usable:
        raise InputError(
            "device",
            "be one that torch can use",
            f"{device!r}",
            f"This machine has it, torch {torch.__version__} can't use it. Update "
            "driver or torch, or choose `device` cpu.",
        )
