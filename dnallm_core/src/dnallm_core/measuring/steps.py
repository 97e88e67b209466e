"""A network's blocks, and the moments that a forward pass goes through: where a peak or a time is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.hooks import RemovableHandle

BODY, HEAD = "body", "head"


class Steps:
    """Most bytes by step, filled while the network that it watches runs.

    A step is what lies between two moments at which a module begins or ends. What each of them holds
    is a plain sum of terms, while the peak of the whole is the largest of them: another step at long
    inputs than at short ones, and another one in a network whose vocabulary is larger. ``parts`` says
    whether a step belongs to the body or, behind the last block, to the head.
    """

    def __init__(self, module: nn.Module, peak: Callable[[], int]) -> None:
        self.bytes: dict[str, int] = {}
        self.parts: dict[str, str] = {}
        self._peak = peak
        self._part, self._last = BODY, "start"
        self._hooks: list[RemovableHandle] = []
        blocks = _blocks(module)
        for name, each in module.named_modules():
            if name:
                self._watch(each, name, bool(blocks) and each is blocks[-1])

    def finish(self) -> None:
        """What was held from the last moment on."""
        self._passed("end")

    def leave(self) -> None:
        """Watch no longer."""
        for hook in self._hooks:
            hook.remove()

    def _watch(self, module: nn.Module, name: str, last: bool) -> None:
        self._hooks += [
            module.register_forward_pre_hook(lambda *_: self._passed(f"before {name}")),
            module.register_forward_hook(lambda *_: self._passed(f"after {name}", last)),
        ]

    def _passed(self, moment: str, last: bool = False) -> None:
        """The step that ends at ``moment``; beyond the ``last`` block comes the head."""
        name = f"{self._last} - {moment}"
        self.bytes[name] = max(self._peak(), self.bytes.get(name, 0))
        self.parts[name] = self._part
        self._last = moment
        if last:
            self._part = HEAD


class Clock:
    """Seconds that the blocks took, apart from what stands before and after them."""

    def __init__(self, module: nn.Module) -> None:
        self._began = self._ended = 0.0
        blocks = _blocks(module)
        if blocks:
            blocks[0].register_forward_pre_hook(lambda *_: self._start())
            blocks[-1].register_forward_hook(lambda *_: self._stop())

    def seconds(self) -> float:
        """Of the last pass: from the first block's beginning to the last one's end."""
        taken, self._began, self._ended = max(0.0, self._ended - self._began), 0.0, 0.0
        return taken

    def _start(self) -> None:
        self._began = self._began or time.perf_counter()  # inputs may go through in parts

    def _stop(self) -> None:
        self._ended = time.perf_counter()


def _blocks(module: nn.Module) -> list[nn.Module]:
    """The list of blocks with the most parameters, in their order."""
    from torch.nn import ModuleList

    lists = [each for each in module.modules() if isinstance(each, ModuleList) and len(each)]
    if not lists:
        return []
    sizes = [sum(one.numel() for one in each.parameters()) for each in lists]
    return list(lists[sizes.index(max(sizes))])
