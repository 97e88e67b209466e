"""Hardware held against a model: the number format, the memory on each device, and the nearest change."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .. import values
from ..footprint.predict import Prediction, prediction
from ..footprint.records import Records
from ..footprint.terms import BYTES
from ..manifest.model import ModelManifest
from ..resources.machine import Device, Resources
from .decisions import Refusal
from .requirements import Requirements

UNASKED_LENGTH = 1_000  # bp at which memory is compared where no length was asked


@dataclass(frozen=True, slots=True)
class Fit:
    """How a model would run: the format, the device and how many of them, and what it needs there."""

    dtype: str
    device: Device
    devices: int
    memory: int
    cost: Prediction
    length: int


def length_for(asked: Requirements, model: ModelManifest) -> int:
    """The length at which memory is judged: what was asked, else 1,000 bp or the model's limit."""
    return asked.length or min(model.max_length or UNASKED_LENGTH, UNASKED_LENGTH)


def fit(
    asked: Requirements, model: ModelManifest, resources: Resources, records: Records
) -> Fit | Refusal:
    """The first of the model's number formats in which it fits, or why none does."""
    device = resources.best
    formats = [asked.dtype] if asked.dtype else list(model.dtypes)
    usable = [each for each in formats if each in device.dtypes and each in model.dtypes]
    if not usable:
        return _dtype_refusal(asked, model, device)
    length = length_for(asked, model)
    smallest: Fit | None = None
    many = len(resources.alike)
    for dtype in usable:
        cost = prediction(
            model,
            batch=asked.batch or 1,
            dtype=dtype,
            mode=asked.mode or "inference",
            device=device.kind,
            cache=asked.task == "generation",
            records=records,
        )
        for devices in (1, many) if many > 1 else (1,):
            found = Fit(dtype, device, devices, cost.most(length, devices), cost, length)
            if devices > 1:
                found = _fewest(found, device.memory)
            if found.memory <= device.memory:
                return found
            if smallest is None or found.memory < smallest.memory:
                smallest = found
    assert smallest is not None
    return _memory_refusal(asked, model, smallest, many, resources.host_memory)


def _fewest(found: Fit, memory: int) -> Fit:
    """The same on as few devices as suffice."""
    for devices in range(2, found.devices):
        needed = found.cost.most(found.length, devices)
        if needed <= memory:
            return Fit(found.dtype, found.device, devices, needed, found.cost, found.length)
    return found


def _dtype_refusal(asked: Requirements, model: ModelManifest, device: Device) -> Refusal:
    offered = ", ".join(model.dtypes) or "no format that is stated"
    if asked.dtype and asked.dtype not in model.dtypes:
        return Refusal(
            "dtype", asked.dtype, tuple(model.dtypes),
            f"is sound in {offered}, not in {asked.dtype}",
            f"ask for dtype = {model.dtypes[0]}" if model.dtypes else "",
        )  # fmt: skip
    wanted = asked.dtype or offered
    fix = f"a device with {wanted}"
    if "float8" in wanted:
        fix = "a GPU with FP8: compute capability 8.9 or more, as of L4, L40S, H100 or RTX 4090"
    elif asked.dtype and (other := [each for each in model.dtypes if each in device.dtypes]):
        fix = f"ask for dtype = {other[0]}"
    return Refusal(
        "dtype", wanted, device.dtypes,
        f"runs in {wanted}; {device.label} ({device.name}) has {', '.join(device.dtypes)}", fix,
    )  # fmt: skip


def _memory_refusal(
    asked: Requirements, model: ModelManifest, found: Fit, many: int, host: int | None
) -> Refusal:
    device, cost = found.device, found.cost
    needed = cost.most(found.length, many)
    batch = f" for a batch of {asked.batch}" if (asked.batch or 1) > 1 else ""
    doing = " to train" if asked.mode == "training" else ""
    spread = f" on each of {many} devices" if many > 1 else ""
    has = f"{device.label} has {values.show_memory(device.memory)}"
    message = (
        f"needs {values.show_memory(needed)}{doing} at {values.show_length(found.length)}{batch} "
        f"in {found.dtype}{spread}; {has}"
    )
    fix = _memory_fix(asked, model, found, many)
    if device.is_gpu and host is not None and needed <= host * 0.9:
        fix += f", or slowly in the {values.show_memory(host)} of main memory (--device cpu)"
    return Refusal("memory", needed, device.memory, message, fix)


def _memory_fix(asked: Requirements, model: ModelManifest, found: Fit, many: int) -> str:
    device, cost = found.device, found.cost
    ways = []
    longest = rounded_down(cost.longest(device.memory, many))
    if longest >= 10:
        ways.append(f"fits up to {values.show_length(longest)}")
    enough = devices_needed(cost, found.length, device.memory)
    if device.is_gpu and enough is not None and enough > many:
        ways.append(f"on {enough} such GPUs")
    if asked.dtype:
        lighter = [
            each
            for each in model.dtypes
            if each in device.dtypes and BYTES[each] < BYTES[asked.dtype]
        ]
        if lighter:
            ways.append(f"with dtype = {lighter[-1]}")
    if not ways:
        single = values.show_memory(cost.most(found.length, 1))
        ways.append(
            f"needs a device with {single}" if device.is_gpu else f"needs {single} of memory"
        )
    return ", or ".join(ways)


def devices_needed(cost: Prediction, length: int, memory: int) -> int | None:
    """The fewest devices of ``memory`` bytes over which it fits, or None where no number does."""
    most = cost.layers
    if cost.most(length, most) > memory:
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if cost.most(length, middle) <= memory:
            high = middle
        else:
            low = middle + 1
    return low


def rounded_down(length: int) -> int:
    """A length to two figures, never more than it is."""
    if length < 100:
        return length
    size = 10 ** (math.floor(math.log10(length)) - 1)
    return length // size * size
