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
                held = _held(folder / "memory.stat")
                found.append((limit, _number(folder / names[1]) or 0 if held is None else held))
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):  # no such file, or "max"
        return None


# What a group and those below it hold on to. The rest of what is charged to them is file and inode
# caches, which the kernel gives back when memory is asked for: after an hour of reading files they
# fill a container to its limit.
_HELD = {
    "total_rss": "total_shmem",  # version 1, whose plain names leave out the groups below
    "anon": "shmem",
}
_KERNEL = ("slab_unreclaimable", "kernel_stack", "pagetables", "sock")


def _held(path: Path) -> int | None:
    """Bytes that cannot be reclaimed, or None where the group does not say."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        table = {row[0]: int(row[1]) for row in rows if len(row) == 2}
    except (OSError, ValueError):
        return None
    for private, shared in _HELD.items():
        if private in table:
            names = (private, shared, *_KERNEL)
            return sum(table.get(name, 0) for name in names)
    return None
