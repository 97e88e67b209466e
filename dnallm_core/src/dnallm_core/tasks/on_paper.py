"""A run on paper: its parts and shards, device-hours, bytes written and memory, before it is paid for.

Hours are those of ``footprint.time``: measured seconds of the model where it was measured on such a
device, else a roofline of the device's rate and bandwidth.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import RequirementError
from ..footprint import Records, largest_batch, prediction, shape_of
from ..footprint.time import duration
from ..manifest.model import ModelManifest
from ..resources.machine import Device

PART_BASES = 131_072  # as tasks.job, which needs torch to import
NAME = 28  # bytes of a row's name, start and end in a part, about
BASE = 28  # bytes of a base's contig, start, end and value
OUTPUTS = ("embed", "embed --tokens", "score", "score --per-base")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take. Hours are of all devices together, as an interval."""

    windows: int
    parts: int
    shards: int
    hours_low: float
    hours_high: float
    hours_basis: str
    wall_hours_low: float
    wall_hours_high: float
    bytes_written: int
    memory: int
    memory_basis: str
    batch: int

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


def estimate(
    model: ModelManifest,
    device: Device,
    *,
    bases: int,
    window: int,
    stride: int | None = None,
    devices: int = 1,
    output: str = "embed",
    both_strands: bool = False,
    dtype: str = "bfloat16",
    shard_hours: float = 4.0,
    records: Records | None = None,
) -> Estimate:
    """The cost of ``bases`` bp in windows on so many ``device``s.

    Shards: at least one a device, and as many as make each at most ``shard_hours`` by the upper
    bound. Raises RequirementError where nothing is known of the device's rate, or not one window
    fits.
    """
    step = stride or window
    windows = max(1, math.ceil((bases - window) / step) + 1)
    parts = math.ceil(windows / math.ceil(PART_BASES / window))
    cost = prediction(
        model,
        dtype=dtype,
        device=device.kind,
        records=records if records is not None else Records(),
    )
    memory = cost.at(window)
    batch = largest_batch(
        model, window, device.memory, dtype, device=device.kind,
        records=records if records is not None else Records(),
    )  # fmt: skip
    if not batch:
        raise RequirementError(
            f"One window of {window:,} bp needs {memory.total / 1e9:.0f} GB in {dtype}, and "
            f"{device.name} has {device.memory / 1e9:.0f} GB.",
            requirement="window",
            hint="Take shorter windows, or a device with more memory.",
        )
    batch = min(batch, max(1, 16_384 // cost.tokens(window)))
    time = duration(
        model, cost, length=window, sequences=windows * (2 if both_strands else 1),
        device=device, dtype=dtype, batch=batch,
    )  # fmt: skip
    if math.isinf(time.high):
        raise RequirementError(
            f"Hours cannot be told: {time.basis} ({model.id}, in {dtype}).",
            requirement="gpu",
            hint="Name a card with --gpu, or measure the model with `dnallm measure`.",
        )
    low, high = time.low / 3600, time.high / 3600
    return Estimate(
        windows=windows,
        parts=parts,
        shards=min(parts, max(devices, math.ceil(high / shard_hours))),
        hours_low=low,
        hours_high=high,
        hours_basis=time.basis,
        wall_hours_low=low / devices,
        wall_hours_high=high / devices,
        bytes_written=_bytes(model, output, bases, windows, window),
        memory=memory.total,
        memory_basis=", ".join(dict.fromkeys(term.basis for term in memory.terms)),
        batch=batch,
    )


def _bytes(model: ModelManifest, output: str, bases: int, windows: int, window: int) -> int:
    """Bytes of the parts, which the output holds again: float32 vectors and the rows' places."""
    width = shape_of(model).width
    tokens = windows * math.ceil(window / (model.resolution or 1.0))
    if output == "embed":
        return windows * (4 * width + NAME)
    if output == "embed --tokens":
        return tokens * (4 * width + NAME)
    if output == "score":
        return windows * (16 + NAME)
    if output == "score --per-base":
        return bases * BASE
    raise RequirementError(
        f"There is no estimate for {output!r}.", requirement="output", hint=f"One of {OUTPUTS}."
    )
