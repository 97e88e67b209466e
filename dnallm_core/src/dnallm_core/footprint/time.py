"""How long it takes, as an interval with its basis: measured seconds, else the roofline of the device.

Roofline (Williams et al. 2009, Commun. ACM 52:65): a pass takes at least its operations over the
device's rate, and at least the bytes of the weights over its bandwidth. What plain PyTorch reaches of
that depends on the network: a tenth to six tenths of the rate where the work is matrix products, a
fiftieth to a half where scans and transforms are among it. Decoding goes base by base, and reads the
weights for every one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..manifest.model import ModelManifest
from ..resources.machine import Device
from .work import operations

if TYPE_CHECKING:
    from .predict import Prediction
    from .records import Record

MATRIX_PRODUCTS = (0.1, 0.6)  # of the device's rate
OTHERS = (0.02, 0.5)
BANDWIDTH = (0.3, 0.9)  # of the device's bandwidth
TENSOR_CORES = 4.0  # a 16-bit rate that is not stated is this many times float32's, at most
SAME_MACHINE = (0.7, 1.5)  # run to run, of what was measured on the same device
OTHER_CPU = (0.1, 3.0)  # other cores, more of them


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds as an interval, and what it rests on."""

    low: float
    high: float
    basis: str


def duration(
    model: ModelManifest,
    cost: Prediction,
    *,
    length: int,
    sequences: int,
    device: Device,
    dtype: str,
    batch: int = 1,
    training: bool = False,
    decoding: bool = False,
) -> Time:
    """Seconds for ``sequences`` sequences of ``length`` bp on one device, ``batch`` at a time."""
    tokens = cost.tokens(length)
    work = operations(model, tokens, training)
    measured = _measured(cost.record, tokens, work, device) if not decoding else None
    if measured is not None:
        passes = 3 if training and cost.record and cost.record.mode != "training" else 1
        low, high, basis = measured
        return Time(low * sequences * passes, high * sequences * passes, basis)
    rates = _rates(device, dtype)
    if rates is None:
        return Time(
            0.0, math.inf, f"no rate of {device.name} is known, and nobody measured it there"
        )
    matrix = model.architecture in ("encoder-transformer", "decoder-transformer")
    least, most = MATRIX_PRODUCTS if matrix else OTHERS
    low, high = work / (rates[1] * most), work / (rates[0] * least)
    said = rates[2]
    if device.bandwidth:
        reads = (tokens if decoding else 1) / max(1, batch)
        moved = (
            next((each.constant for each in cost.growths if each.name == "weights"), 0.0) * reads
        )
        low = max(low, moved / (device.bandwidth * BANDWIDTH[1]))
        high = max(high, moved / (device.bandwidth * BANDWIDTH[0]))
        said += " and bandwidth" if not decoding else " and bandwidth, base by base"
    return Time(low * sequences, high * sequences, f"roofline by the {said} of {device.name}")


def _measured(
    record: Record | None, tokens: int, work: float, device: Device
) -> tuple[float, float, str] | None:
    """Seconds of one sequence by what was measured on such a device; a relative's by its operations."""
    if record is None or not record.seconds or (record.device == "cpu") != (device.kind == "cpu"):
        return None
    where = str(record.measured.get("device_name", ""))
    same = not device.is_gpu or device.name == where
    if not same:
        return None  # another card: the roofline says more
    seconds = record.seconds
    one = (
        seconds.get("fixed", 0.0)
        + seconds.get("per_token", 0.0) * tokens
        + seconds.get("per_token_squared", 0.0) * tokens * tokens
    )
    if record.relative is not None and record.shape is not None:
        one *= work / _work_of(record, tokens)
    low, high = SAME_MACHINE if record.origin or device.is_gpu else OTHER_CPU
    return one * low, one * high, record.basis


def _work_of(record: Record, tokens: int) -> float:
    """Operations of the model that was measured, on as many tokens."""
    shape = record.shape
    assert shape is not None
    parameters = shape.parameters or 12 * shape.layers * shape.width**2
    attention = 4 * shape.attention_layers * shape.heads * shape.head_width * tokens
    return float((2 * parameters + attention) * tokens * shape.strands)


def _rates(device: Device, dtype: str) -> tuple[float, float, str] | None:
    """(least, most, what they are) operations a second in a number format; None where none is known."""
    known = dict(device.flops)
    if dtype in known:
        return known[dtype], known[dtype], f"{dtype} rate"
    if "float32" not in known:
        return None
    most = known["float32"] * (TENSOR_CORES if dtype != "float32" else 1.0)
    return (
        known["float32"],
        most,
        "float32 rate"
        + (
            f" (that of {dtype} is not stated: one to {TENSOR_CORES:g} times as much)"
            if dtype != "float32"
            else ""
        ),
    )
