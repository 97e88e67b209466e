"""NVIDIA GPUs and their MIG slices through the driver's own library, else through ``nvidia-smi``."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

from .machine import Device

_OK = 0


def dtypes_of(capability: tuple[int, int]) -> tuple[str, ...]:
    """Number formats of a compute capability: bfloat16 from 8.0, FP8 from 8.9 (CUDA's guide)."""
    formats = ["float32", "float16"]
    if capability >= (8, 0):
        formats.append("bfloat16")
    if capability >= (8, 9):
        formats.append("float8")
    return tuple(formats)


def nvidia_gpus(visible: str | None, problems: list[str], host_memory: int) -> list[Device]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` leaves, in its order; none where there is no driver."""
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return []
    signs = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg")  # the last is Windows' Linux
    if not any(Path(sign).exists() for sign in signs):
        return []
    rows = _from_library(host_memory)
    if rows is None:
        rows = _from_command(problems)
    return chosen(rows, visible)


def chosen(rows: list[tuple[str, Device]], visible: str | None) -> list[Device]:
    """Those rows that ``CUDA_VISIBLE_DEVICES`` names by number or (the beginning of) a UUID."""
    if visible is None:
        return [device for _, device in rows]
    picked = []
    for asked in (part.strip() for part in visible.split(",")):
        if asked.isdigit():
            whole = [device for uuid, device in rows if not uuid.startswith("MIG")]
            if int(asked) >= len(whole) and int(asked) >= len(rows):
                break  # CUDA itself stops at the first that does not exist
            picked.append((whole or [device for _, device in rows])[int(asked)])
        else:
            match = [device for uuid, device in rows if asked and uuid.startswith(asked)]
            if not match:
                break
            picked.append(match[0])
    return picked


def _from_library(host_memory: int) -> list[tuple[str, Device]] | None:
    """(uuid, device) for each GPU or MIG slice from NVML, or None where it cannot be asked."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2() != _OK:
            return None
    except (OSError, AttributeError):
        return None
    try:
        return _ask(library, host_memory)
    except AttributeError:
        return None
    finally:
        library.nvmlShutdown()


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong),
                ("used", ctypes.c_ulonglong))  # fmt: skip


def _ask(library: Any, host_memory: int) -> list[tuple[str, Device]]:
    from .found import gpu

    rows: list[tuple[str, Device]] = []
    count = ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for index in range(count.value):
        handle = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != _OK:
            continue
        major, minor = ctypes.c_int(), ctypes.c_int()
        library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
        formats = dtypes_of((major.value, minor.value))
        for part in _slices(library, handle) or [handle]:
            memory = _Memory()
            if library.nvmlDeviceGetMemoryInfo(part, ctypes.byref(memory)) == _OK and memory.total:
                free, total, basis = memory.free, memory.total, "NVML, free now"
            else:  # the GPU has no memory of its own: it shares the host's
                free, total, basis = host_memory, host_memory, "integrated: the host's memory"
            name = _text(library.nvmlDeviceGetName, part) or _text(
                library.nvmlDeviceGetName, handle
            )
            if part is not handle:
                basis += "; a MIG slice"
            device = gpu("cuda", len(rows), name, free, total, formats, basis)
            rows.append((_text(library.nvmlDeviceGetUUID, part), device))
    return rows


def _slices(library: Any, handle: Any) -> list[Any]:
    current, pending = ctypes.c_uint(), ctypes.c_uint()
    if library.nvmlDeviceGetMigMode(handle, ctypes.byref(current), ctypes.byref(pending)) != _OK:
        return []
    most = ctypes.c_uint()
    if not current.value:
        return []
    library.nvmlDeviceGetMaxMigDeviceCount(handle, ctypes.byref(most))
    found = []
    for index in range(most.value):
        part = ctypes.c_void_p()
        if library.nvmlDeviceGetMigDeviceHandleByIndex(handle, index, ctypes.byref(part)) == _OK:
            found.append(part)
    return found


def _text(ask: Any, handle: Any) -> str:
    buffer = ctypes.create_string_buffer(96)
    return buffer.value.decode("utf-8", "replace") if ask(handle, buffer, 96) == _OK else ""


_QUERY = "index,uuid,name,memory.total,memory.free,compute_cap"


def _from_command(problems: list[str]) -> list[tuple[str, Device]]:
    try:
        answer = subprocess.run(
            ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        problems.append("There is an NVIDIA driver, but neither NVML nor nvidia-smi answers.")
        return []
    if answer.returncode != 0:
        problems.append(f"nvidia-smi failed: {(answer.stdout or answer.stderr).strip()[:200]}")
        return []
    return read_table(answer.stdout)


def read_table(text: str) -> list[tuple[str, Device]]:
    """(uuid, device) from the lines of ``nvidia-smi --format=csv,noheader,nounits``."""
    from .found import gpu

    rows = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 6 or not parts[0].isdigit():
            continue
        index, uuid, name, total, free, capability = parts
        try:
            mebibytes = int(float(total)), int(float(free))
            major, _, minor = capability.partition(".")
            formats = dtypes_of((int(major), int(minor or 0)))
        except ValueError:  # "[N/A]": integrated memory, or a driver too old to say
            continue
        rows.append((uuid, gpu("cuda", int(index), name, mebibytes[1] << 20, mebibytes[0] << 20,
                               formats, "nvidia-smi, free now")))  # fmt: skip
    return rows
