"""``Device`` and ``Resources``: what the selector is told of a machine, found or described."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CPU_DTYPES = ("float32", "bfloat16", "float16")
GENERIC_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One place where a network can run. ``memory``: bytes usable now; ``total``: bytes it has.

    ``bandwidth`` in bytes a second and ``flops`` by dtype are None or absent where no source states
    them. ``basis`` says where the figures come from.
    """

    kind: str  # "cuda" | "rocm" | "mps" | "cpu" | "gpu" (described)
    name: str
    label: str  # how messages call it: "GPU 0", "the CPU"
    memory: int
    total: int
    dtypes: tuple[str, ...] = GENERIC_DTYPES
    bandwidth: float | None = None
    flops: tuple[tuple[str, float], ...] = ()
    basis: str = ""

    @property
    def is_gpu(self) -> bool:
        """Whether it is an accelerator."""
        return self.kind != "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The devices to choose for, and the memory of the host. ``source`` says where it comes from.

    ``devices`` holds at least one; where there is a GPU, the CPU is not among them.
    """

    devices: tuple[Device, ...]
    host_memory: int | None = None
    source: str = "this machine"
    problems: tuple[str, ...] = field(default=())

    @property
    def best(self) -> Device:
        """The device with the most usable memory (the first of several equal ones)."""
        return max(self.devices, key=lambda device: device.memory)

    @property
    def alike(self) -> tuple[Device, ...]:
        """The devices of the best one's kind over which one network's layers can be spread."""
        return tuple(device for device in self.devices if device.kind == self.best.kind)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "source": self.source,
            "host_memory": self.host_memory,
            "devices": [
                {
                    "kind": device.kind,
                    "name": device.name,
                    "memory": device.memory,
                    "total": device.total,
                    "dtypes": list(device.dtypes),
                    "basis": device.basis,
                }
                for device in self.devices
            ],
            "problems": list(self.problems),
        }
