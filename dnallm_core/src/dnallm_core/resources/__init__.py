"""What a machine has: devices, memory, number formats; found without torch, or described by its owner."""

from __future__ import annotations

from .described import described
from .found import this_machine
from .machine import CPU_DTYPES, Device, Resources

__all__ = ["CPU_DTYPES", "Device", "Resources", "described", "this_machine"]
