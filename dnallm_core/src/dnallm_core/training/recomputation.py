"""Blocks that keep their input alone and are computed again on the way back: less memory, more time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..errors import CapabilityError


def blocks_of(module: Any) -> list[Any]:
    """The children of a network's longest list of modules; none where no list has two."""
    from torch import nn

    lists = [each for each in module.modules() if isinstance(each, (nn.ModuleList, nn.Sequential))]
    longest = max(lists, key=len, default=None)
    return list(longest) if longest is not None and len(longest) > 1 else []


def recompute(module: Any) -> Callable[[], None]:
    """Have the blocks of a network recomputed in training (Chen et al. 2016), in place.

    The blocks are the children of its longest list of modules, whatever the network is; in
    evaluation, and without gradients, they run as ever. Returns what undoes it. Raises
    CapabilityError where there is no such list.
    """
    from torch import is_grad_enabled
    from torch.utils.checkpoint import checkpoint

    blocks = blocks_of(module)
    if not blocks:
        raise CapabilityError(
            "The network has no list of blocks that could be recomputed.",
            hint="Leave --recompute out.",
        )

    def wrapped(block: Any, forward: Any) -> Any:
        @functools.wraps(forward)
        def again(*inputs: Any, **named: Any) -> Any:
            if not (block.training and is_grad_enabled()):
                return forward(*inputs, **named)
            return checkpoint(forward, *inputs, use_reentrant=False, **named)

        return again

    for block in blocks:
        block.forward = wrapped(block, block.forward)

    def undo() -> None:
        for block in blocks:
            block.__dict__.pop("forward", None)

    return undo
