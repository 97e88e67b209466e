"""What training adds: gradients, moments, and what every block keeps for its backward pass.

Of low-rank adapters (LoRA) only these have gradients and moments, and of a head alone only the head;
adapters still need what the blocks keep, a head does not. Recomputed blocks keep their input alone,
and one block at a time the rest (Chen et al. 2016, arXiv:1604.06174).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RequirementError
from .shape import Shape
from .terms import BYTES, Growth, derived, one_block, runtime, weights

METHODS = ("full", "lora", "head")
MOMENTS = 8  # AdamW's two, float32
_SAMPLE = 4  # widths that pooling and a head keep of every token


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained, as far as memory depends on it.

    ``rank`` is that of LoRA's adapters. ``passes`` is how often a row goes through the network in
    one step: 2 where both strands are read.
    """

    method: str = "full"
    rank: int = 8
    recompute: bool = False
    passes: int = 1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RequirementError(
                f"There is no method {self.method!r}.", hint=f"One of {', '.join(METHODS)}."
            )


def training_terms(
    shape: Shape, kind: str, batch: int, dtype: str, device: str, how: Training
) -> tuple[Growth, ...]:
    """The terms of one step of training in plain PyTorch with AdamW."""
    size = BYTES[dtype]
    basis = "derived"
    if shape.guessed:
        basis = f"derived; {', '.join(shape.guessed)} guessed"
    rows = batch * how.passes
    if how.method == "head":  # the network only answers, without gradients
        terms = [
            each
            for each in derived(shape, kind, batch, dtype, device)
            if each.name not in ("logits", "runtime")
        ]
        terms.append(Growth("head", 0, rows * _SAMPLE * shape.width * 4, 0, basis))
        return (*terms, runtime(device))
    held = weights(shape, dtype)
    terms = [held]
    learned, learned_size = held.constant / size, size
    if how.method == "lora":
        learned, learned_size = float(adapter_parameters(shape, kind, how.rank)), 4
        terms.append(Growth("adapters", 4 * learned, 0, 0, f"derived: rank {how.rank}"))
    terms.append(Growth("gradients", learned_size * learned, 0, 0, "derived: of what is trained"))
    terms.append(
        Growth("optimizer", MOMENTS * learned, 0, 0, "derived: AdamW, two moments in float32")
    )
    strands = rows * shape.strands
    each, shared, square = kept_by_a_block(shape, kind, dropout_is_unfused=device == "cpu")
    if how.method == "lora":
        each += how.rank * len(_linear_layers(shape, kind))
    if how.recompute:
        at_once = strands * size * (shape.width * shape.layers + each)
        fixed, layers = shared, min(1, shape.attention_layers)
        basis += "; blocks are recomputed"
    else:
        at_once = strands * size * each * shape.layers
        fixed, layers = shared * shape.layers, shape.attention_layers
    terms.append(Growth("kept", 0, at_once + fixed * 4, 0, basis))
    if square and layers:
        terms.append(Growth("attention", 0, 0, strands * size * square * layers, basis))
    # on the way back one block's gradients stand beside what is kept
    elements, once = one_block(shape, kind)
    terms.append(Growth("activations", 0, strands * size * elements, strands * size * once, basis))
    terms.append(Growth("head", 0, rows * _SAMPLE * shape.width * 4, 0, basis))
    return (*terms, runtime(device))


def kept_by_a_block(
    shape: Shape, kind: str, *, dropout_is_unfused: bool
) -> tuple[float, float, float]:
    """(elements a token, elements a position that all rows share, elements a token squared).

    As counted on these networks in plain PyTorch, within a fifth (benchmarks/training_memory.py);
    a manifest may state the first as ``shape.kept``, in widths. For transformers the count is that of
    Korthikanti et al. 2022 (arXiv:2205.05198, section 4.1), without tensor parallelism. Attention with
    dropout has no fused kernel on a CPU: scores, their mask and their product are kept.
    """
    width, wide = shape.width, shape.feed_forward
    queries = (shape.heads + 2 * shape.key_value_heads) * shape.head_width
    feed = wide * (4 if shape.gated else 2)
    shared = square = 0.0
    if kind == "state-space":
        found = 2 * width + shape.inner * (4 + 3.5 * shape.directions)
    elif kind == "convolutional":
        found = 6 * width + (0 if "feed_forward" in shape.guessed else feed)
    elif kind in ("long-convolution", "hybrid"):
        found = 4 * width + feed + 13 * width
        shared = 7.5 * width if kind == "long-convolution" else 0.0
    else:
        found = 4 * width + queries + 2 * shape.heads * shape.head_width + feed
    if not shape.fused_attention or (shape.attention_dropout and dropout_is_unfused):
        square = 3.0 * shape.heads
    return (found if shape.kept is None else shape.kept * width), shared, square


def adapter_parameters(shape: Shape, kind: str, rank: int) -> int:
    """Numbers in adapters of ``rank`` beside every linear layer: rank x (inputs + outputs) each."""
    count = sum(wide_in + wide_out for wide_in, wide_out in _linear_layers(shape, kind))
    return rank * count * shape.layers


def _linear_layers(shape: Shape, kind: str) -> list[tuple[int, int]]:
    """(inputs, outputs) of the linear layers in one block."""
    width, wide, inner = shape.width, shape.feed_forward, shape.inner
    if kind == "state-space":
        steps = max(1, width // 16)
        return [(width, 2 * inner), (inner, steps + 2 * shape.state), (inner, width)]
    feed = [(width, wide)] * (2 if shape.gated else 1) + [(wide, width)]
    if kind == "convolutional":
        return feed
    if kind in ("long-convolution", "hybrid"):
        return [(width, 3 * width), (width, width), *feed]
    keys = shape.key_value_heads * shape.head_width
    queries = shape.heads * shape.head_width
    return [(width, queries), (width, keys), (width, keys), (queries, width), *feed]
