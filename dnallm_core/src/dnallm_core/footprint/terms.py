"""Cost terms: bytes that are constant, grow with tokens, or with their square; derived from a shape.

All formulas give the most that is alive at one moment of a forward pass in plain PyTorch; they are
upper estimates, replaced by measured terms where a plugin or a user has measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from .shape import Shape

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float8": 2}
"""Bytes a value. float8 computes in eight bits; weights and activations are kept in bfloat16."""
CUDA_CONTEXT = 500 * 10**6
"""Driver, kernels and library workspaces of one process on a GPU: about 0.3 to 0.6 GB."""
CPU_WORKSPACE = 20 * 10**6
"""Thread pools and library workspaces on a CPU, as the measured models show them."""
CPU_ALLOCATOR = 45 * 10**6
"""What glibc keeps of freed blocks on a CPU, whatever is run: the middle of it."""
ALLOCATOR_SHARE = 0.035
"""And what it keeps besides, of what is alive: 0 to 180 MB in all, from run to run and by shape."""
HEAP_BLOCK = 32 << 20
"""Bytes up to which glibc takes a block from its heap, which keeps what is freed; larger ones go back."""
HEAP_KEPT = 0.75
"""What of attention's tensors is kept for the rest of the pass where each of them is such a block."""
HEAP_LEAST = 20 * 10**6
"""What is kept of the smallest batches."""
TRANSFORMER = 1.5
"""What measured transformers hold above the tensors of the widest step."""
SCAN_CHUNK = 256
"""Positions of a chunked scan whose states are alive together."""


@dataclass(frozen=True, slots=True)
class Term:
    """One named part of a footprint at a given length, in bytes, and what it rests on."""

    name: str
    bytes: int
    basis: str


class Growth(NamedTuple):
    """One named part as a polynomial of the number of tokens in a sequence, for a given batch.

    It counts where there are more than ``after`` tokens and ``until`` at most.
    """

    name: str
    constant: float
    per_token: float
    per_token_squared: float
    basis: str
    after: float = 0.0
    until: float = math.inf

    def at(self, tokens: float) -> float:
        """Bytes at a number of tokens."""
        if not self.after < tokens <= self.until:
            return 0.0
        return self.constant + (self.per_token + self.per_token_squared * tokens) * tokens


def derived(
    shape: Shape, kind: str, batch: int, dtype: str, device: str, cache: bool = False
) -> tuple[Growth, ...]:
    """Terms of inference with a network of architecture ``kind`` that nobody has measured.

    ``cache``: a key-value cache or recurrent state is carried (generation).
    """
    size = BYTES[dtype]
    how = "derived"
    if shape.guessed:
        how = f"derived; {', '.join(shape.guessed)} guessed"
    terms = [weights(shape, dtype)]
    elements, square = one_block(shape, kind)
    rows = batch * shape.strands
    working = [Growth("activations", 0, rows * elements * size, 0, how)]
    if square and shape.attention_layers:
        working.append(Growth("attention", 0, 0, rows * square * size, how))
    if kind in ("long-convolution", "hybrid"):
        working.append(_fourier(shape, rows, how))
    terms.extend(working if not shape.bends else _up_to(shape.bends[0].at(batch), working))
    if kind == "long-convolution":  # the spectra of every layer's filters are kept
        terms.append(Growth("filters", 0, 8 * shape.width * shape.layers, 0, how))
    if kind == "state-space":
        held = rows * SCAN_CHUNK * shape.inner * shape.state * 4 * 3
        terms.append(Growth("state", held, 0, 0, how))
    if cache:
        terms.extend(carried(shape, kind, batch, size, how))
    elif shape.bends:
        terms.extend(joined(shape, kind, batch, size, how))
    # The head's product and its sum with the bias are alive together; then they are read in float32.
    logits = batch * shape.vocabulary * (2 * size + (4 if size != 4 else 0))
    terms.append(Growth("logits", 0, logits, 0, how))
    terms.append(runtime(device))
    return tuple(terms)


def _up_to(most: float, working: list[Growth]) -> list[Growth]:
    """What grows up to ``most`` tokens and stays as it is beyond."""
    held = sum(each.at(most) for each in working)
    beyond = Growth("working", held, 0, 0, working[0].basis, after=most)
    return [*(each._replace(until=most) for each in working), beyond]


def joined(shape: Shape, kind: str, batch: int, size: int, how: str) -> list[Growth]:
    """What long inputs that go through in parts keep of each part: answers, then joined, and states."""
    most = shape.bends[0].at(batch)
    answers = Growth("joined-parts", 0, 2 * batch * shape.strands * shape.width * size, 0, how)
    return [
        each._replace(after=most) for each in (*carried(shape, kind, batch, size, how), answers)
    ]


def weights(shape: Shape, dtype: str) -> Growth:
    """The parameters in their dtype; exact where the manifest states their number."""
    count, basis = shape.parameters, "exact: parameters x bytes"
    if count is None:
        count = round(12 * shape.layers * shape.width**2 + shape.vocabulary * shape.width)
        basis = "derived: the number of parameters is not stated"
    extra = shape.float32_parameters * (4 - BYTES[dtype])
    return Growth("weights", count * BYTES[dtype] + extra, 0, 0, basis)


def runtime(device: str) -> Growth:
    """What the libraries themselves hold on the device."""
    if device == "cpu":
        return Growth(
            "runtime", CPU_WORKSPACE, 0, 0, "derived: threads and workspaces, 15 to 21 MB"
        )
    return Growth("runtime", CUDA_CONTEXT, 0, 0, "derived: context and workspaces, 0.3 to 0.6 GB")


def one_block(shape: Shape, kind: str) -> tuple[float, float]:
    """(elements a token, elements a token squared) alive at the peak of one block, one row."""
    width, wide = shape.width, shape.feed_forward
    block: float
    stream = 2 * width  # the residual stream and its normed copy
    attention = attended(shape)
    feed = wide * (3 if shape.gated else 2)
    if kind == "state-space":
        # in projection (2 x inner), its convolved half, step sizes, gates and outputs, each direction
        block = shape.inner * (2 + 4 * shape.directions)
    elif kind == "convolutional":
        block = 3 * max(shape.inner, wide, width)
    elif kind == "long-convolution":
        block = max(6 * width, feed)
    else:
        block = TRANSFORMER * max(attention, feed, 6 * width if kind == "hybrid" else 0)
    square = 0.0 if shape.fused_attention else 2.0 * shape.heads
    return stream + block, square


def attended(shape: Shape) -> int:
    """Elements a token that one attention holds: all projected, then laid out by head, and its output."""
    queries = (shape.heads + 2 * shape.key_value_heads) * shape.head_width
    return queries * 2 + shape.width


def _fourier(shape: Shape, rows: int, how: str) -> Growth:
    """Buffers of one convolution by FFT, zero-padded to twice the length, in float32."""
    width = shape.width
    spectrum, padded = 8 * width, 8 * width  # (T + 1) complex64, and 2 T float32, a channel
    return Growth("fft", 0, rows * (2 * spectrum + padded) + spectrum + padded, 0, how)


def carried(shape: Shape, kind: str, batch: int, size: int, how: str) -> list[Growth]:
    """The key-value cache and the states that go from token to token."""
    terms = []
    if shape.attention_layers:
        cache = 2 * shape.key_value_heads * shape.head_width * shape.attention_layers * size
        terms.append(Growth("key-value-cache", 0, batch * cache, 0, how))
    recurrent = shape.layers - shape.attention_layers
    if recurrent > 0 and kind in ("state-space", "hybrid", "long-convolution"):
        held = batch * recurrent * max(shape.inner, shape.width) * (shape.state + 4) * 4
        terms.append(Growth("recurrent-state", held, 0, 0, how))
    return terms
