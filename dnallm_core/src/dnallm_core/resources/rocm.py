"""AMD GPUs as the kernel's driver shows them, without ROCm's tools."""

from __future__ import annotations

from pathlib import Path

from .machine import Device


def amd_gpus(visible: str | None, root: Path = Path("/")) -> list[Device]:
    """The compute-capable AMD GPUs that ``HIP_VISIBLE_DEVICES`` leaves; ``root`` is for tests."""
    from .found import gpu

    if not (root / "dev/kfd").exists():  # no compute driver: a display card alone cannot be used
        return []
    found: list[Device] = []
    for card in sorted((root / "sys/class/drm").glob("card[0-9]*/device")):
        try:
            if (card / "vendor").read_text().strip() != "0x1002":
                continue
            total = int((card / "mem_info_vram_total").read_text())
            used = int((card / "mem_info_vram_used").read_text())
        except (OSError, ValueError):
            continue
        if total < 2 * 10**9:  # an integrated display
            continue
        name = _read(card / "product_name") or "AMD GPU"
        formats = ("float32", "float16", "bfloat16")
        found.append(gpu("rocm", len(found), name, total - used, total, formats,
                         "the kernel's amdgpu driver, free now"))  # fmt: skip
    if visible is None:
        return found
    numbers = [int(part) for part in visible.split(",") if part.strip().isdigit()]
    return [found[number] for number in numbers if number < len(found)]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
