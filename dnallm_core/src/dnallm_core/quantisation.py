"""Weight-only quantisation: linear maps keep their weights in 8 bits, through optimum-quanto.

Weights are rounded to whole numbers with one scale a row and multiplied out again where they are
used; activations, states, embeddings, filters and the head stay as they are. The library is plain
PyTorch, runs on CPUs and, by its documentation, on CUDA, and is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import RequirementError, did_you_mean, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KINDS = ("int8",)


def check(kind: str) -> None:
    """Raise RequirementError where there is no such quantisation, or its library is not installed."""
    if kind not in KINDS:
        raise RequirementError(
            f"There is no quantisation {kind!r}.",
            requirement="quantisation",
            hint=did_you_mean(nearest(kind, KINDS)) or f"One of {', '.join(KINDS)}.",
        )
    try:
        import optimum.quanto  # noqa: F401
    except ImportError as error:
        raise RequirementError(
            "Quantisation needs optimum-quanto, which is not installed.",
            requirement="quantisation",
            hint='pip install "dnallm-core[quantise]"',
        ) from error


def quantise(module: PreTrainedModel, kind: str) -> int:
    """Quantise the linear maps of a filled network in place; returns how many.

    One after another, so that no more than one weight exists twice. What is tied to the embedding
    keeps its format.
    """
    from optimum.quanto import QLinear, qint8
    from torch import nn

    check(kind)
    head = module.get_output_embeddings()
    count = 0
    for name, layer in list(module.named_modules()):
        if not isinstance(layer, nn.Linear) or layer is head:
            continue
        made = QLinear.from_module(layer, weights=qint8)
        made.freeze()
        made.register_forward_pre_hook(_side_by_side)
        made.eval()
        module.set_submodule(name, made)
        count += 1
    return count


def _side_by_side(_layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The library's product reads rows whose numbers lie side by side."""
    return (given[0].contiguous(), *given[1:])
