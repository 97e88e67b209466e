"""Blocks that keep their input alone and are computed again on the way back: less memory, more time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..errors import CapabilityError


def recompute(module: Any) -> Callable[[], None]:
    """Have the blocks of a network recomputed in training (Chen et al. 2016), in place.

    The blocks are the children of its longest list of modules, whatever the network is; in
    evaluation, and without gradients, they run as ever. Returns what undoes it. Raises
    CapabilityError where there is no such list.
    """
    from torch import is_grad_enabled, nn
    from torch.utils.checkpoint import checkpoint

    lists = [each for each in module.modules() if isinstance(each, (nn.ModuleList, nn.Sequential))]
    longest = max(lists, key=len, default=None)
    if longest is None or len(longest) < 2:
        raise CapabilityError(
            "The network has no list of blocks that could be recomputed.",
            hint="Leave --recompute out.",
        )
    blocks = list(longest)

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
