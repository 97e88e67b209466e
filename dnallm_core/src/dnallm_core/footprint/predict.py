"""Predicted peak memory and time of a model at a length, batch and dtype; and how long it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..manifest.model import ModelManifest
from ..resources.machine import Device
from .records import Record, Records
from .shape import Shape, shape_of
from .terms import BYTES, Growth, Term, derived, runtime, weights
from .training import Training, training_terms

SPECIAL_TOKENS = 2  # what tokenizers add at most to one sequence
_NO_RECORDS = Records()


@dataclass(frozen=True, slots=True)
class Footprint:
    """Peak memory above that of the process with its libraries imported, as named terms in bytes."""

    terms: tuple[Term, ...]

    @property
    def total(self) -> int:
        """All terms together, in bytes."""
        return sum(term.bytes for term in self.terms)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "bytes": self.total,
            "terms": [
                {"name": term.name, "bytes": term.bytes, "basis": term.basis} for term in self.terms
            ],
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """The cost of one model in one batch, dtype and mode on one kind of device, as a polynomial."""

    growths: tuple[Growth, ...]
    bases_per_token: float
    layers: int
    record: Record | None = None

    @property
    def basis(self) -> str:
        """``measured``, where the terms that grow with length were, else ``derived``."""
        return "measured" if self.record is not None else "derived"

    def tokens(self, length: int) -> int:
        """Tokens that ``length`` bp become, special ones included."""
        return math.ceil(length / self.bases_per_token) + SPECIAL_TOKENS

    def at(self, length: int, devices: int = 1) -> Footprint:
        """Bytes on each device at ``length`` bp, weights spread over ``devices`` by whole layers."""
        tokens = self.tokens(length)
        share = 1 / max(1, min(devices, self.layers))
        return Footprint(
            tuple(
                Term(
                    growth.name,
                    math.ceil(growth.at(tokens) * (share if growth.name in _SPREAD else 1)),
                    growth.basis,
                )
                for growth in self.growths
            )
        )

    def total(self, length: int, devices: int = 1) -> int:
        """``at(length, devices).total``, without making the terms."""
        tokens = self.tokens(length)
        share = 1 / max(1, min(devices, self.layers))
        needed = 0
        for name, constant, linear, square, _ in self.growths:
            amount = constant + (linear + square * tokens) * tokens
            needed += math.ceil(amount * share if name in _SPREAD else amount)
        return needed

    def longest(self, memory: int, devices: int = 1) -> int:
        """The most bp that fit into ``memory`` bytes a device; 0 where not one does."""
        share = 1 / max(1, min(devices, self.layers))
        constant = linear = square = 0.0
        for name, fixed, per_token, per_square, _ in self.growths:
            part = share if name in _SPREAD else 1.0
            constant += fixed * part
            linear += per_token * part
            square += per_square * part
        left = memory - constant - len(self.growths)  # each term is rounded up
        if left <= 0:
            return 0
        if square > 0:
            tokens = (math.sqrt(linear * linear + 4 * square * left) - linear) / (2 * square)
        elif linear > 0:
            tokens = left / linear
        else:
            return 10**12
        return max(0, math.floor((math.floor(tokens) - SPECIAL_TOKENS) * self.bases_per_token))

    def seconds(self, length: int, sequences: int, device: Device, work: float) -> Time:
        """Time for ``sequences`` sequences of ``length`` bp, batched as predicted for."""
        return _time(self, length, sequences, device, work)


_SPREAD = frozenset(
    {
        "weights", "gradients", "optimizer", "adapters", "kept",
        "key-value-cache", "recurrent-state",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds as an interval, and what it rests on."""

    low: float
    high: float
    basis: str


def prediction(
    manifest: ModelManifest,
    *,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "inference",
    device: str = "cpu",
    cache: bool = False,
    records: Records = _NO_RECORDS,
    training: Training | None = None,
) -> Prediction:
    """The cost of ``manifest`` as a function of length: measured terms where there are, else derived.

    ``mode``: "inference", or "training": one step of it, as ``training`` says (in full unless said).
    """
    shape = shape_of(manifest)
    record = _nearest(records.of(manifest), dtype, mode, device)
    if mode == "training" and training not in (None, Training()):
        record = None  # what is measured is training in full
    if record is not None:
        growths = _from_record(record, shape, batch, dtype, device, cache, manifest.architecture)
    elif mode == "training":
        growths = training_terms(
            shape, manifest.architecture, batch, dtype, device, training or Training()
        )
    else:
        growths = derived(shape, manifest.architecture, batch, dtype, device, cache)
    return Prediction(growths, manifest.resolution or 1.0, shape.layers, record)


def predict(
    manifest: ModelManifest,
    length: int,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "inference",
    *,
    device: str = "cpu",
    devices: int = 1,
    cache: bool = False,
    records: Records = _NO_RECORDS,
    training: Training | None = None,
) -> Footprint:
    """Peak bytes a device that ``manifest`` needs for ``batch`` sequences of ``length`` bp."""
    return prediction(
        manifest, batch=batch, dtype=dtype, mode=mode, device=device, cache=cache,
        records=records, training=training,
    ).at(length, devices)  # fmt: skip


def largest_length(
    manifest: ModelManifest,
    memory: int,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "inference",
    *,
    device: str = "cpu",
    devices: int = 1,
    records: Records = _NO_RECORDS,
    training: Training | None = None,
) -> int:
    """The most bp a sequence may have for a batch to fit into ``memory`` bytes; 0 where none fits.

    The model's own limit is not looked at.
    """
    cost = prediction(
        manifest, batch=batch, dtype=dtype, mode=mode, device=device,
        records=records, training=training,
    )  # fmt: skip
    return cost.longest(memory, devices)


def largest_batch(
    manifest: ModelManifest,
    length: int,
    memory: int,
    dtype: str = "float32",
    mode: str = "inference",
    *,
    device: str = "cpu",
    devices: int = 1,
    records: Records = _NO_RECORDS,
    training: Training | None = None,
) -> int:
    """The most sequences of ``length`` bp that fit together into ``memory`` bytes; 0 where none does."""

    def needed(batch: int) -> int:
        cost = prediction(
            manifest, batch=batch, dtype=dtype, mode=mode, device=device,
            records=records, training=training,
        )  # fmt: skip
        return cost.total(length, devices)

    one, two = needed(1), needed(2)
    if one > memory:
        return 0
    if two <= one:
        return 2**20
    found = 1 + (memory - one) // (two - one)  # every term is linear in the batch
    while found > 1 and needed(found) > memory:
        found -= 1
    return int(found)


def _nearest(records: tuple[Record, ...], dtype: str, mode: str, device: str) -> Record | None:
    """The record that says most: of this mode; of this device and dtype before others."""
    usable = [record for record in records if record.mode == mode]
    kind = "cpu" if device == "cpu" else "gpu"

    def distance(record: Record) -> tuple[bool, bool]:
        return ((record.device == "cpu") != (kind == "cpu"), record.dtype != dtype)

    return min(usable, key=distance, default=None)


def _from_record(
    record: Record,
    shape: Shape,
    batch: int,
    dtype: str,
    device: str,
    cache: bool,
    kind: str,
) -> tuple[Growth, ...]:
    scale = BYTES[dtype] / BYTES[record.dtype]
    if kind not in ("encoder-transformer", "decoder-transformer"):
        scale = max(scale, (1 + scale) / 2)  # scans and transforms stay in float32
    basis = record.basis + ("" if dtype == record.dtype else f", scaled to {dtype}")
    measured = record.terms
    terms = [weights(shape, dtype)]
    if "weights" in measured and shape.parameters is None:
        terms = [Growth("weights", measured["weights"] * scale, 0, 0, basis)]
    fixed = measured.get("fixed", 0.0) + batch * measured.get("per_row", 0.0) * scale
    terms.append(Growth("workspace", fixed, 0, 0, basis))
    terms.append(Growth("activations", 0, batch * measured.get("per_token", 0.0) * scale, 0, basis))
    if measured.get("per_length"):
        terms.append(Growth("filters", 0, measured["per_length"] * scale, 0, basis))
    if measured.get("per_token_squared"):
        square = batch * measured["per_token_squared"] * scale
        terms.append(Growth("attention", 0, 0, square, basis))
    if cache:
        from .terms import _carried

        terms.extend(_carried(shape, kind, batch, BYTES[dtype], "derived"))
    if device != "cpu":
        terms.append(runtime(device))
    return tuple(terms)


def _time(cost: Prediction, length: int, sequences: int, device: Device, work: float) -> Time:
    """Measured seconds where the record is of this kind of device; else a roofline.

    ``work``: floating-point operations of one sequence. Networks of this kind
    reach between a tenth and six tenths of a device's peak: that is the interval of a roofline.
    """
    tokens = cost.tokens(length)
    record = cost.record
    if record is not None and record.seconds and (record.device == "cpu") == (device.kind == "cpu"):
        seconds = record.seconds
        one = (
            seconds.get("fixed", 0.0)
            + seconds.get("per_token", 0.0) * tokens
            + seconds.get("per_token_squared", 0.0) * tokens * tokens
        )
        return Time(one * sequences * 0.7, one * sequences * 1.5, record.basis)
    rate = max((value for _, value in device.flops), default=0.0)
    if not rate:
        return Time(0.0, math.inf, "no rate of this device is known")
    one = work * tokens / rate
    return Time(one * sequences / 0.6, one * sequences / 0.1, "roofline of the device's data sheet")
