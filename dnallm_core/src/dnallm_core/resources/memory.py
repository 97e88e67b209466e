"""Memory of the host: what the kernel has free, within the limits of the container (cgroup v1, v2)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2^63 for "no limit"


def host_memory(root: Path = Path("/")) -> tuple[int, int]:
    """(usable, total) bytes of main memory; ``root`` is replaced by tests."""
    available, total = _kernel(root)
    for limit, used in _limits(root):
        total = min(total, limit)
        available = min(available, max(limit - used, 0))
    return available, total


def _kernel(root: Path) -> tuple[int, int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return _elsewhere()
    table = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}
    total = table.get("MemTotal", 0)
    free = table.get("MemFree", 0) + table.get("Cached", 0) + table.get("Buffers", 0)
    return table.get("MemAvailable", free), total


def _elsewhere() -> tuple[int, int]:
    """Outside Linux: half of what is there counts as free where nobody says."""
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = (
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                *(
                    (name, ctypes.c_ulonglong)
                    for name in ("total", "free", "a", "b", "c", "d", "e")
                ),
            )

        status = Status(length=ctypes.sizeof(Status))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.free), int(status.total)
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        total = 8 * 10**9
    return total // 2, total


def _limits(root: Path) -> list[tuple[int, int]]:
    """(limit, used) of every control group that this process is in, innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        hierarchy, controllers, path = [*line.split(":", 2), "", ""][:3]
        if hierarchy == "0" and not controllers:
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base, names = (
                root / "sys/fs/cgroup/memory",
                ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            )
        else:
            continue
        inside = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(inside), -1, -1):
            folder = base.joinpath(*inside[:depth])
            limit = _number(folder / names[0])
            if limit is not None and limit < _UNLIMITED:
                used = (_number(folder / names[1]) or 0) - _reclaimable(folder / "memory.stat")
                found.append((limit, max(used, 0)))
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _reclaimable(path: Path) -> int:
    """Bytes of file cache that the kernel gives back when memory is asked for."""
    try:
        for line in path.read_text().splitlines():
            name, _, amount = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return int(amount)
    except (OSError, ValueError):
        pass
    return 0
