"""The machine itself: cores, memory, graphics processors. Knows the system's and PyTorch's answers, no engine."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, replace

import evoxtral
from evoxtral.cpu import usable_cores
from evoxtral.findings import is_importable

_NVIDIA_SMI_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics processor; its memory in bytes.

    Attributes:
        remedy: what would let PyTorch use it; None if it can, or if there is no PyTorch.
    """

    name: str
    memory_bytes: int
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on; `memory_bytes` is None where the system does not tell."""

    evoxtral: str
    python: str
    system: str
    cores: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...]


def look_at_machine() -> Machine:
    """What the system tells."""
    return Machine(
        evoxtral=evoxtral.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
        cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        gpus=_gpus(),
    )


def _gpus() -> tuple[Gpu, ...]:
    if not is_importable("torch"):
        return _gpus_of_driver()
    if usable := _gpus_of_torch():
        return usable
    remedy = "PyTorch cannot use it; a build for its driver: https://pytorch.org/get-started/locally"
    return tuple(replace(gpu, remedy=remedy) for gpu in _gpus_of_driver())


def _gpus_of_torch() -> tuple[Gpu, ...]:
    try:
        import torch

        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    except Exception:  # a library of another version raises anything; the engine that needs it says what
        return ()
    return tuple(Gpu(gpu.name, gpu.total_memory) for gpu in found)


def _gpus_of_driver() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ()
    gpus = []
    for line in told.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name and mebibytes.strip().isdecimal():
            gpus.append(Gpu(name.strip(), int(mebibytes) * 2**20))
    return tuple(gpus)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
