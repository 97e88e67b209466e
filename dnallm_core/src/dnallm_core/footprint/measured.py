"""Measured terms -> growths: a model's own record, or a relative's, scaled by what the shapes differ in.

A relative runs the same implementation. Each of its measured terms is multiplied by what the derived
formula gives for this shape over what it gives for the measured one: formulas need not be right in
their size, only in how they grow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from .largest import largest
from .records import Record
from .shape import Shape
from .terms import (
    ALLOCATOR_SHARE,
    BYTES,
    CPU_ALLOCATOR,
    CPU_WORKSPACE,
    HEAP_BLOCK,
    HEAP_KEPT,
    HEAP_LEAST,
    Growth,
    attended,
    carried,
    derived,
    joined,
    runtime,
    weights,
)

MOST_LOGITS = 3  # the head's product, its sum with the bias, and both read in float32
_TRANSFORMERS = ("encoder-transformer", "decoder-transformer")
_KEPT = "freed blocks that the allocator keeps: none to 210 MB were measured"
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
    if record.steps and not shape.bends:
        found += _steps(record, shape, kind, batch, scale, basis)
        if cache:
            found.extend(carried(shape, kind, batch, BYTES[dtype], "derived"))
        return (*found, *_surroundings(record, found, shape, kind, batch, dtype, device))
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
        found += [each._replace(after=low, until=high) for each in own] if bends else own
    if cache and not bends:
        found.extend(carried(shape, kind, batch, BYTES[dtype], "derived"))
    return (*found, *_surroundings(record, found, shape, kind, batch, dtype, device))


def _surroundings(
    record: Record,
    found: Sequence[Growth],
    shape: Shape,
    kind: str,
    batch: int,
    dtype: str,
    device: str,
) -> list[Growth]:
    """What is held besides: by the libraries on a device, by the allocator on a CPU."""
    if device != "cpu":
        return [runtime(device)]
    if not record.measured.get("exact"):
        return []
    heap: list[Growth] = []
    most = 0.0
    if kind in _TRANSFORMERS and record.mode == "inference":
        heap, most = _heap(shape, batch, dtype)
    shares = [
        Growth("allocator", 0, ALLOCATOR_SHARE * each.per_token,
               ALLOCATOR_SHARE * each.per_token_squared, _KEPT, max(each.after, most), each.until)
        for each in found
        if each.name not in ("weights", "key-value-cache", "recurrent-state")
        and (each.per_token or each.per_token_squared)
        and most < each.until
    ]  # fmt: skip
    return [*heap, Growth("allocator", CPU_ALLOCATOR, 0, 0, _KEPT, most), *shares]


def _heap(shape: Shape, batch: int, dtype: str) -> tuple[list[Growth], float]:
    """What glibc's heap keeps of attention's tensors, and the tokens of a row up to which they lie there.

    Beyond them the hidden states or the queries of the batch are blocks that go back when they are
    freed.
    """
    element = batch * shape.strands * BYTES[dtype]
    kept = HEAP_KEPT * element * attended(shape)
    most = HEAP_BLOCK / (element * max(shape.width, shape.heads * shape.head_width))
    few = min(most, HEAP_LEAST / kept)
    least = Growth("allocator", HEAP_LEAST, 0, 0, _KEPT, until=few)
    if few == most:
        return [least], most
    return [least, Growth("allocator", 0, kept, 0, _KEPT, few, most)], most


def _steps(
    record: Record, shape: Shape, kind: str, batch: int, scale: float, basis: str
) -> list[Growth]:
    """The step that holds most, wherever it is the one."""
    fixed = record.terms.get("fixed", 0.0)
    found = []
    polynomials = []
    for part, said in record.steps:
        terms = {name: value * scale for name, value in said.items()}
        if record.relative is not None and record.shape is not None:
            size = BYTES[record.dtype] * scale
            terms = (
                _head(terms, shape, record.shape, size)
                if part == "head"
                else _scaled(terms, shape, record.shape, kind, 0.0)
            )
        get = terms.get
        polynomials.append(
            (
                get("fixed", 0.0) + batch * get("per_row", 0.0),
                get("per_length", 0.0) + batch * get("per_token", 0.0),
                get("per_length_squared", 0.0) + batch * get("per_token_squared", 0.0),
            )
        )
    for which, after, until in largest(polynomials):
        constant, linear, square = polynomials[which]
        found.append(Growth("workspace", fixed + constant, 0, 0, basis, after, until))
        found.append(Growth("activations", 0, linear, 0, basis, after, until))
        if square:
            found.append(Growth("attention", 0, 0, square, basis, after, until))
    return found


def _head(
    terms: Mapping[str, float], shape: Shape, measured: Shape, size: float
) -> dict[str, float]:
    """A relative's step behind the last block: as many logits as it held, the rest by width."""
    numbers = terms.get("per_token", 0.0) / size
    times = min(MOST_LOGITS, math.floor(numbers / measured.vocabulary))
    rest = numbers - times * measured.vocabulary
    held = times * shape.vocabulary + rest * shape.width / measured.width
    return {**terms, "per_token": held * size}


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
        name = "working" if kind == "state-space" else "filters"
        found.append(Growth(name, 0, terms["per_length"], 0, basis))
    if terms.get("per_token_squared"):
        square = batch * terms["per_token_squared"]
        found.append(Growth("attention", 0, 0, square, basis))
    if terms.get("per_length_squared"):
        found.append(Growth("biases", 0, 0, terms["per_length_squared"], basis))
    return found


def _scaled(
    terms: Mapping[str, float], shape: Shape, measured: Shape, kind: str, least: float | None = None
) -> dict[str, float]:
    """A relative's terms for this shape, by what the formulas give for both.

    ``least``: the smallest factor; of whole passes that of the width, for the formulas weigh a
    head's output too heavily. Of a step of the body (0) the head is left out.
    """
    here, there = (_formulas(each, kind, least is None) for each in (shape, measured))
    width = shape.width / measured.width if least is None else least
    found = {
        name: value * max(here[name] / there[name], width) if there.get(name) else value
        for name, value in terms.items()
        if name != "weights"
    }
    wider = max(1.0, here["per_token"] / there["per_token"]) if there["per_token"] else 1.0
    fixed = terms.get("fixed", 0.0)
    lasting = min(fixed, float(CPU_WORKSPACE))
    found["fixed"] = lasting + (fixed - lasting) * wider
    found["per_row"] = terms.get("per_row", 0.0) * wider
    return found


@lru_cache(maxsize=1024)
def _formulas(shape: Shape, kind: str, head: bool) -> Mapping[str, float]:
    """The derived coefficients by the names that records have, of one row in float32.

    ``head``: count what the head gives too.
    """
    plain = dataclasses.replace(shape, bends=(), vocabulary=shape.vocabulary if head else 0)
    found = dict.fromkeys(
        ("per_token", "per_length", "per_token_squared", "per_length_squared"), 0.0
    )
    for growth in derived(plain, kind, 1, "float32", device="cpu"):
        name = "per_length" if growth.name == "filters" else "per_token"
        found[name] += growth.per_token
        found["per_token_squared"] += growth.per_token_squared
    if kind == "state-space":  # what a row holds while it is mixed by itself
        found["per_length"] = found["per_token"]
    found["per_length_squared"] = found["per_token_squared"]
    return found
