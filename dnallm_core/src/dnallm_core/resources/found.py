"""The machine at hand: its GPUs, else its CPU, found without torch and without starting a GPU context."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from .gpus import lookup
from .machine import CPU_DTYPES, Device, Resources
from .memory import host_memory


@lru_cache(maxsize=1)
def this_machine() -> Resources:
    """What is usable here and now: free rather than total memory, within the container's limit.

    Found once a process. What could not be read stands in ``problems``.
    """
    problems: list[str] = []
    usable, total = host_memory()
    devices: list[Device] = []
    if sys.platform == "darwin" and os.uname().machine == "arm64":
        from .apple import apple_gpu

        devices += apple_gpu(usable, total)
    else:
        from .nvidia import nvidia_gpus
        from .rocm import amd_gpus

        devices += nvidia_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"), problems, usable)
        if not devices:
            devices += amd_gpus(
                os.environ.get("HIP_VISIBLE_DEVICES", os.environ.get("ROCR_VISIBLE_DEVICES"))
            )
    if not devices:
        devices.append(cpu(usable, total))
    return Resources(devices=tuple(devices), host_memory=usable, problems=tuple(problems))


def cpu(usable: int, total: int) -> Device:
    """The CPU as a device."""
    return Device(
        kind="cpu",
        name=f"{os.uname().machine} CPU" if hasattr(os, "uname") else "CPU",
        label="this machine's memory",
        memory=usable,
        total=total,
        dtypes=CPU_DTYPES,
        basis="the operating system, within the container's limit",
    )


def gpu(
    kind: str, index: int, name: str, free: int, total: int, dtypes: tuple[str, ...], basis: str
) -> Device:
    """A GPU that was found; its rates from the table where it is listed there."""
    card = lookup(name)
    return Device(
        kind=kind,
        name=name,
        label=f"GPU {index}",
        memory=free,
        total=total,
        dtypes=dtypes,
        bandwidth=card.bandwidth if card else None,
        flops=card.flops if card else (),
        basis=basis,
    )
