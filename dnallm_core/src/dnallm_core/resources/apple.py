"""Apple's GPUs, which share the machine's memory."""

from __future__ import annotations

import subprocess

from .machine import Device

_SHARE = 0.75  # of main memory that Metal recommends as the largest working set on most machines


def apple_gpu(usable: int, total: int) -> list[Device]:
    """The one GPU of an Apple chip; it may use about three quarters of main memory."""
    try:
        answer = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        name = answer.stdout.strip() or "Apple GPU"
    except (OSError, subprocess.TimeoutExpired):
        name = "Apple GPU"
    return [
        Device(
            kind="mps",
            name=name,
            label="GPU 0",
            memory=min(usable, round(total * _SHARE)),
            total=round(total * _SHARE),
            dtypes=("float32", "float16", "bfloat16"),
            basis="integrated: three quarters of main memory",
        )
    ]
