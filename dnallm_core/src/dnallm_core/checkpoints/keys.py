"""How the names in a checkpoint become the names in a module: one table, readable at a glance."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KeyRules:
    """What to do with each key of a checkpoint.

    ``rename``: (pattern, replacement) pairs for ``re.sub``, applied in order, each to the whole key.
    ``ignore``: patterns, matched in full against the checkpoint's own key before renaming: tensors
    that the authors' code does not use either. A key that is neither ignored nor in the module
    after renaming is an error, and so is a module's key that nothing filled.
    ``tied``: module key -> module key that it shares its tensor with; a checkpoint may store either
    or both (both must then be equal).
    ``convert``: pattern on the *renamed* key -> a function of the tensor (a transpose, a reordering
    of rows), run as the tensor is read.
    ``computed``: patterns of module keys (buffers) that may be absent because the network computes
    them from its configuration.
    """

    rename: Sequence[tuple[str, str]] = ()
    ignore: Sequence[str] = ()
    tied: Mapping[str, str] = field(default_factory=dict)
    convert: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    computed: Sequence[str] = ()

    def is_ignored(self, key: str) -> bool:
        """Whether the checkpoint's ``key`` is one that nothing uses."""
        return any(re.fullmatch(pattern, key) for pattern in self.ignore)

    def is_computed(self, key: str) -> bool:
        """Whether the module's ``key`` may be absent from a checkpoint."""
        return any(re.fullmatch(pattern, key) for pattern in self.computed)

    def renamed(self, key: str) -> str:
        """The module's name for the checkpoint's ``key``."""
        for pattern, replacement in self.rename:
            key = re.sub(pattern, replacement, key)
        return key

    def converted(self, key: str, tensor: Tensor) -> Tensor:
        """``tensor`` as the module's ``key`` holds it."""
        for pattern, function in self.convert.items():
            if re.fullmatch(pattern, key):
                tensor = function(tensor)
        return tensor
