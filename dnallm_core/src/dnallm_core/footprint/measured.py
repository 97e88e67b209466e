"""Measured terms -> growths: a model's own record, or a relative's, scaled by what the shapes differ in.

A relative runs the same implementation. Each of its measured terms is multiplied by what the derived
formula gives for this shape over what it gives for the measured one: formulas need not be right in
their size, only in how they grow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from .records import Record
from .shape import Shape
from .terms import (
    BYTES,
    CPU_ALLOCATOR,
    CPU_WORKSPACE,
    Growth,
    carried,
    derived,
    joined,
    runtime,
    weights,
)

_FLOAT32_INSIDE = ("state-space", "long-convolution", "hybrid", "convolutional")


def growths_of(
    record: Record, shape: Shape, kind: str, batch: int, dtype: str, device: str, cache: bool
) -> tuple[Growth, ...]:
    """The cost by ``record``, which is of this model or (``record.relative``) of a relative's."""
    basis = record.basis + ("" if dtype == record.dtype else f", scaled to {dtype}")
    scale = BYTES[dtype] / BYTES[record.dtype]
    if kind in _FLOAT32_INSIDE:
        scale = max(scale, (1 + scale) / 2)  # scans and transforms stay in float32
    found = [weights(shape, dtype)]
    if "weights" in record.terms and shape.parameters is None and record.relative is None:
        found = [Growth("weights", record.terms["weights"] * scale, 0, 0, basis)]
    bends = [bend.at(batch) for bend in shape.bends]
    ways = (record.terms, *record.beyond, *(None,) * (len(bends) - len(record.beyond)))
    first: list[Growth] = []
    for place, (low, high) in enumerate(zip((0.0, *bends), (*bends, math.inf), strict=True)):
        terms = ways[place]
        if terms is not None:
            own = _terms(record, terms, shape, kind, batch, scale, basis)
        else:  # nobody ran it so far: what a part needs, and what is derived of the rest
            held = sum(each.at(bends[0]) for each in first)
            rest = joined(shape, kind, batch, BYTES[dtype], "derived")
            logits = batch * shape.vocabulary * BYTES[dtype]
            own = [Growth("working", held, logits, 0, basis), *rest]
        first = first or own
        found += [each._replace(after=low, until=high) for each in own]
    if cache and not bends:
        found.extend(carried(shape, kind, batch, BYTES[dtype], "derived"))
    if device != "cpu":
        found.append(runtime(device))
    elif record.measured.get("exact"):
        kept = "measured: blocks that the allocator keeps, 0 to 120 MB"
        found.append(Growth("allocator", CPU_ALLOCATOR, 0, 0, kept))
    return tuple(found)


def _terms(
    record: Record,
    said: Mapping[str, float],
    shape: Shape,
    kind: str,
    batch: int,
    scale: float,
    basis: str,
) -> list[Growth]:
    """One way's terms for a batch."""
    terms = {name: value * scale for name, value in said.items()}
    terms["fixed"] = said.get("fixed", 0.0)
    if record.relative is not None and record.shape is not None:
        terms = _scaled(terms, shape, record.shape, kind)
    fixed = terms["fixed"] + batch * terms.get("per_row", 0.0)
    found = [
        Growth("workspace", fixed, 0, 0, basis),
        Growth("activations", 0, batch * terms.get("per_token", 0.0), 0, basis),
    ]
    if terms.get("per_length"):
        found.append(Growth("filters", 0, terms["per_length"], 0, basis))
    if terms.get("per_token_squared"):
        square = batch * terms["per_token_squared"]
        found.append(Growth("attention", 0, 0, square, basis))
    return found


def _scaled(
    terms: Mapping[str, float], shape: Shape, measured: Shape, kind: str
) -> dict[str, float]:
    """A relative's terms for this shape."""
    here, there = _formulas(shape, kind), _formulas(measured, kind)
    width = (
        shape.width / measured.width
    )  # formulas weigh a head's output too heavily: not below this
    found = {
        name: value * max(here[name] / there[name], width) if there.get(name) else value
        for name, value in terms.items()
        if name != "weights"
    }
    wider = max(1.0, here["per_token"] / there["per_token"]) if there["per_token"] else 1.0
    lasting = min(terms["fixed"], float(CPU_WORKSPACE))
    found["fixed"] = lasting + (terms["fixed"] - lasting) * wider
    found["per_row"] = terms.get("per_row", 0.0) * wider
    return found


def _formulas(shape: Shape, kind: str) -> dict[str, float]:
    """The derived coefficients by the names that records have, of one row in float32."""
    found = dict.fromkeys(("per_token", "per_length", "per_token_squared"), 0.0)
    for growth in derived(dataclasses.replace(shape, bends=()), kind, 1, "float32", device="cpu"):
        name = "per_length" if growth.name == "filters" else "per_token"
        found[name] += growth.per_token
        found["per_token_squared"] += growth.per_token_squared
    return found
