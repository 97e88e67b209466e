"""What a forward pass costs, counted and not timed: operations, and the most bytes alive at once."""

from __future__ import annotations

import weakref
from math import log2
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class Counting(TorchDispatchMode):
    """Counts within its block.

    ``operations``: those of products and convolutions as torch counts them, of Fourier transforms
    (5 n log n), of attention, and one for each number that anything else writes.
    ``peak``: bytes of the storages that were made within and alive together, at the worst moment.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0.0
        self.alive = 0
        self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation and count it."""
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor) and leaf.device.type != "meta":
                self._seen.add(leaf.untyped_storage())  # what came from outside is not ours
        result = function(*args, **(kwargs or {}))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.operations += _operations(function, args, kwargs or {}, result, outputs)
        for output in outputs:
            self._count(output)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._freed, size)

    def _freed(self, size: int) -> None:
        self.alive -= size


def _operations(
    function: Any, args: Any, kwargs: dict[str, Any], result: Any, outputs: list[Tensor]
) -> float:
    packet = getattr(function, "_overloadpacket", None)
    name = str(packet)
    if packet in flop_registry:
        return float(flop_registry[packet](*args, **kwargs, out_val=result))
    if "scaled_dot_product" in name or "flash_attention" in name:
        query, key = args[0], args[1]
        return 4.0 * query.numel() * key.shape[-2]
    written = float(sum(each.numel() for each in outputs))
    if "_fft" in name:
        return 5 * written * log2(max(2, args[0].shape[-1]))
    if not outputs or _is_view(outputs[0], args):
        return 0.0
    return written


def _is_view(output: Tensor, args: Any) -> bool:
    return output._is_view() and any(
        isinstance(each, Tensor) and each.data_ptr() == output.data_ptr() for each in args
    )


def count(call: Any) -> Counting:
    """The costs of ``call()``, without gradients."""
    with torch.no_grad(), Counting() as counted:
        kept = call()
    del kept
    return counted
