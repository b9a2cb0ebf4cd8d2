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
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import plural

if TYPE_CHECKING:
    import torch

Device = Literal["cpu", "cuda", "mps"]
MemoryFormat = Literal["contiguous", "channels_last"]
FASTEST_FIRST: tuple[Device, ...] = ("cuda", "mps", "cpu")

# Tensor cores read channels last. Which format is faster on a CPU depends on the processor, the
# network and the size of its images: `resnext.training.formats` measures it.
FORMATS: dict[Device, MemoryFormat] = {
    "cpu": "contiguous",
    "cuda": "channels_last",
    "mps": "contiguous",
}

CPU_LIMITS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""Files that hold quota and period, of version 2 of control groups and of version 1."""

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
    compiled: bool = Field(
        default=False,
        description="by torch.compile, which gained nothing on a CPU and was not measured on CUDA",
    )


def plan_compute(
    device: str, *, deterministic: bool = False, memory_format: MemoryFormat | None = None
) -> Compute:
    """Choose the device and how it computes, without importing torch.

    `auto` takes a CUDA device, else Apple's GPU (mps), else the CPU. The threads are as many as
    there are CPUs that this process may use. CUDA computes in bf16 where it can, the rest in fp32.
    The memory format is that of `FORMATS` where none is asked for.

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
        memory_format=memory_format or FORMATS[found],
        deterministic=deterministic,
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

    backends = {"cuda": torch.cuda, "mps": torch.backends.mps}
    if compute.device in backends and not backends[compute.device].is_available():
        remedy = (
            f"This machine has it, torch {torch.__version__} can't use it. Update driver or torch, "
            "or choose `device` cpu."
        )
        raise InputError("device", "be one that torch can use", f"{compute.device!r}", remedy)
    torch.set_num_threads(compute.threads)
    if torch.are_deterministic_algorithms_enabled() != compute.deterministic:
        torch.use_deterministic_algorithms(compute.deterministic)  # imports torch.compile: a second
    torch.backends.cudnn.deterministic = compute.deterministic
    torch.backends.cudnn.benchmark = not compute.deterministic
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(compute.device)


def describe(compute: Compute) -> str:
    """Render one line for a person, e.g. "CPU, 2 threads, fp32, channels last, not compiled"."""
    facts = [
        compute.device.upper(),
        plural(compute.threads, "thread") if compute.device == "cpu" else "",
        compute.precision,
        compute.memory_format.replace("_", " "),
        "compiled" if compute.compiled else "not compiled",
        "deterministic" if compute.deterministic else "",
    ]
    return ", ".join(fact for fact in facts if fact)


def count_cpus() -> int:
    """Count the CPUs that this process may use, at least 1: also where a container limits them."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(cpus, _quota() or cpus))


def processor() -> str:
    """Name the processor, so that what was measured on one isn't taken for another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _quota() -> int | None:
    """Read how many CPUs the control group may use, rounded up; None without a limit.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), and for version 1
    https://docs.kernel.org/scheduler/sched-bwc.html.
    """
    for names in CPU_LIMITS:
        try:
            words = " ".join(Path(name).read_text(encoding="utf-8") for name in names).split()
            quota, period = (int(word) for word in words)
        except (OSError, ValueError):  # no such file; or "max", which is none
            continue
        if quota > 0 and period > 0:
            return -(-quota // period)
    return None


def see_one_gpu(number: int) -> None:
    """Hide from this process, before it uses CUDA, all GPUs but one of those that it sees."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(number + 1)))
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[number]


# ---------------------------------------------------------------- what this machine has


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
    return _ask_driver(ctypes.c_int(), "cuDeviceGetAttribute", _COMPUTE_CAPABILITY_MAJOR)


def probe_memory() -> int:
    """Return the bytes of memory of the first CUDA device, 0 where there is none.

    Source: CUDA driver API, section 6.5, https://docs.nvidia.com/cuda/cuda-driver-api/.
    """
    return _ask_driver(ctypes.c_size_t(), "cuDeviceTotalMem_v2") or 0


def count_gpus() -> int:
    """Count the CUDA devices that the driver shows."""
    return _open_driver()[1]


def _ask_driver(
    value: "ctypes.c_int | ctypes.c_size_t", function: str, *arguments: int
) -> int | None:
    """Have a function of the CUDA driver fill in a value of its first device; None if it fails."""
    driver, count = _open_driver()
    device = ctypes.c_int()
    failed = count == 0 or (
        driver.cuDeviceGet(ctypes.byref(device), 0)
        or getattr(driver, function)(ctypes.byref(value), *arguments, device)
    )
    return None if failed else value.value


def _open_driver() -> tuple[Any, int]:
    """Give the CUDA driver, and how many devices it shows: 0 where there is none."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None, 0
    count = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return driver, 0 if failed else count.value


def probe_mps() -> bool:
    """Tell whether this machine has Apple's GPU."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _resolve(device: str) -> Device:
    """Turn the user's choice into a device that this machine has; `auto` takes the fastest."""
    if device not in ("auto", *FASTEST_FIRST):
        raise InputError("device", "be auto, cpu, cuda or mps", f"{device!r}")
    wanted = [each for each in FASTEST_FIRST if device in (each, "auto")]
    found = next((each for each in wanted if not _lacking(each)), None)
    if found is None:
        remedy = f"{_lacking(wanted[0])} `device` cpu or `device` auto."
        raise InputError("device", "be one that this machine has", f"{device!r}", remedy)
    return found


def _lacking(device: Device) -> str:
    """Say what this machine lacks for a device, and what to do; empty where it lacks nothing."""
    if device == "cuda" and probe_build() is None:
        return "The installed torch has no CUDA. Install a CUDA build, or choose"
    if device == "cuda" and probe_driver() is None:
        return "The NVIDIA driver shows no CUDA device. Install driver and device, or choose"
    if device == "mps" and not probe_mps():
        return "It is found on Macs with Apple silicon. Choose"
    return ""
