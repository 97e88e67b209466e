"""Predicted peak memory and time of a model at a length, batch and dtype; and how long it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..manifest.model import ModelManifest
from .measured import growths_of
from .records import Record, Records
from .shape import shape_of
from .terms import Growth, Term, derived
from .training import Training, training_terms

SPECIAL_TOKENS = 2  # what tokenizers add at most to one sequence
_NO_END = 10**12  # bp: longer than any genome
_MOST_ROWS = 2**20
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
        """``measured``, ``counted``, ``measured on X, scaled by shape`` or ``derived``."""
        if self.record is None:
            return "derived"
        if self.record.relative is not None:
            return f"measured on {self.record.relative}, scaled by shape"
        if self.record.steps and not self.record.measured.get("points"):
            return "counted"
        return "measured"

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
        for name, constant, linear, square, _, after, until in self.growths:
            if after < tokens <= until:
                amount = constant + (linear + square * tokens) * tokens
                needed += math.ceil(amount * share if name in _SPREAD else amount)
        return needed

    def most(self, length: int, devices: int = 1) -> int:
        """The largest total of any input up to ``length`` bp: longer ones may go through in parts."""
        found = self.total(length, devices)
        if self._bends:
            tokens = self.tokens(length)
            for bend in self._bends:
                if bend < tokens:
                    ending = math.floor((math.floor(bend) - SPECIAL_TOKENS) * self.bases_per_token)
                    found = max(found, self.total(max(1, ending), devices))
        return found

    @property
    def _bends(self) -> list[float]:
        """Tokens of a row at which another way through begins."""
        return sorted({each.until for each in self.growths if each.until < math.inf})

    def longest(self, memory: int, devices: int = 1) -> int:
        """The most bp that fit into ``memory`` bytes a device; 0 where not one does."""
        share = 1 / max(1, min(devices, self.layers))
        best, low = 0.0, 0.0
        for high in (*self._bends, math.inf):
            best = min(self._most_tokens(memory, share, low, high), high)
            if best < high:
                break
            low = high
        if low and best <= low:
            best = low  # all of the way before fits, and nothing of this one
        if best >= _NO_END:
            return _NO_END
        return max(0, math.floor((math.floor(best) - SPECIAL_TOKENS) * self.bases_per_token))

    def _most_tokens(self, memory: int, share: float, low: float, high: float) -> float:
        """The most tokens that fit, going the way that is gone between two bends."""
        constant = linear = square = 0.0
        for name, fixed, per_token, per_square, _, after, until in self.growths:
            if after <= low and high <= until:
                part = share if name in _SPREAD else 1.0
                constant += fixed * part
                linear += per_token * part
                square += per_square * part
        left = memory - constant - len(self.growths)  # each term is rounded up
        if left <= 0:
            return 0.0
        if square > 0:
            return (math.sqrt(linear * linear + 4 * square * left) - linear) / (2 * square)
        return left / linear if linear > 0 else float(_NO_END)


_SPREAD = frozenset(
    {
        "weights", "gradients", "optimizer", "adapters", "kept",
        "key-value-cache", "recurrent-state",
    }
)  # fmt: skip


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
    if record is None and mode == "inference":
        record = _nearest(records.relative_of(manifest, shape), dtype, mode, device)
    if mode == "training" and training not in (None, Training()):
        record = None  # what is measured is training in full
    if record is not None:
        growths = growths_of(record, shape, manifest.architecture, batch, dtype, device, cache)
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
        return cost.most(length, devices)

    if needed(1) > memory:
        return 0
    low = 1
    while low < _MOST_ROWS and needed(2 * low) <= memory:
        low *= 2
    high = min(2 * low, _MOST_ROWS)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle) <= memory else (low, middle - 1)
    return low


def _nearest(records: tuple[Record, ...], dtype: str, mode: str, device: str) -> Record | None:
    """The record that says most: of this mode; of this device and dtype before others."""
    usable = [record for record in records if record.mode == mode]
    kind = "cpu" if device == "cpu" else "gpu"

    def distance(record: Record) -> tuple[bool, bool]:
        return ((record.device == "cpu") != (kind == "cpu"), record.dtype != dtype)

    return min(usable, key=distance, default=None)
