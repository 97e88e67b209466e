"""One network over several devices, main memory and disk, by accelerate's device map.

Blocks lie whole on one device each; what lies in main memory beside a GPU, or on disk, is brought to
where it is computed when its turn comes, and let go again. Every tensor is put in its place as it is
read: at no time does the whole network lie in memory. accelerate is imported when it is asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RequirementError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

DISK = "disk"
ROOM = 0.8  # of each GPU's free memory for weights; the rest is for the work
_HINT = '"auto", or a table from names of the network to devices: {"": 0, "blocks.7": "cpu", ...}.'


def check(wanted: str | Mapping[str, Any]) -> None:
    """Raise RequirementError where this is no device map, or accelerate is not installed."""
    if not (wanted == "auto" or (isinstance(wanted, Mapping) and wanted)):
        raise RequirementError(
            f"{wanted!r} is no device map.", requirement="device_map", hint=f"It is {_HINT}"
        )
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise RequirementError(
            "A network over several devices needs accelerate, which is not installed.",
            requirement="device_map",
            hint='pip install "dnallm-core[devices]"',
        ) from error


class Spread:
    """Where each tensor of an unfilled network goes, and the hooks that make it run there.

    ``wanted``: ``auto`` (GPUs first, then main memory, then disk), or accelerate's table from
    submodules to devices (numbers or ``cuda:N``, ``cpu``, ``disk``). ``folder``: where what lies on
    disk is written; a temporary one, which lives as long as this object, unless said.
    Raises RequirementError.
    """

    def __init__(
        self,
        module: PreTrainedModel,
        wanted: str | Mapping[str, Any],
        dtype: torch.dtype,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        check(wanted)
        if isinstance(wanted, str):  # "auto": no other word passes the check
            self.places = _automatic(module, dtype)
        else:
            self.places = _stated(module, wanted)
        self._index: dict[str, Any] = {}
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.folder = Path(folder) if folder is not None else None
        if DISK in self.places.values():
            if self.folder is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="dnallm-offload-")
                self.folder = Path(self._temporary.name)
            self.folder.mkdir(parents=True, exist_ok=True)
        devices = [each for each in self.places.values() if each not in ("cpu", DISK)]
        self.main = devices[0] if devices else "cpu"
        first = next(name for name, _ in module.named_parameters())
        if self._place(first) != self.main:
            raise RequirementError(
                f"{first.rpartition('.')[0]} lies on {self._place(first)}: the embedding, by which "
                f"inputs enter, must lie on {self.main}.",
                requirement="device_map",
            )

    def _place(self, name: str) -> str:
        """The device of a tensor: that of the longest entry that holds it."""
        found = [each for each in self.places if f"{name}.".startswith(f"{each}.") or not each]
        return self.places[max(found, key=len)]

    def put(self, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """A tensor in its place and number format; what goes to disk is written, and mapped from there.

        It is converted on its way into the file, not before: nothing of its size is allocated. One on
        the meta device stands for what the network will compute: room for it.
        """
        import torch

        place = self._place(name)
        if tensor.is_meta:
            return torch.empty_like(tensor, device="cpu" if place == DISK else place)
        if place != DISK:
            return tensor.to(dtype).to(place)
        file = f"{self.folder}/{name}.dat"  # accelerate's name and form
        size = tensor.numel()
        try:
            torch.from_file(file, shared=True, size=size, dtype=dtype).copy_(tensor.reshape(-1))
            mapped = torch.from_file(file, size=size, dtype=dtype)
        except (OSError, RuntimeError) as error:
            raise RequirementError(
                f"{name} cannot be written to {self.folder}: {error}.", requirement="device_map"
            ) from error
        word = str(dtype).removeprefix("torch.")
        self._index[name] = {"dtype": word, "shape": list(tensor.shape)}
        return mapped.view(tensor.shape)

    def finish(self, module: PreTrainedModel) -> None:
        """Attach the hooks to a filled network."""
        import logging

        from accelerate import dispatch_model
        from accelerate.utils import save_offload_index

        if set(self.places.values()) == {self.main}:
            return
        for name, computed in module.named_parameters():
            if self._place(name) == DISK and name not in self._index:
                self.put(name, computed.detach(), computed.dtype)
        if DISK in self.places.values():
            save_offload_index(self._index, str(self.folder))
        logger = logging.getLogger("accelerate.big_modeling")
        level = logger.level
        logger.setLevel(logging.ERROR)  # that parameters are on the meta device is what was asked
        try:
            dispatch_model(
                module,
                dict(self.places),
                main_device=self.main,
                offload_dir=str(self.folder) if DISK in self.places.values() else None,
            )
        finally:
            logger.setLevel(level)
        module._dnallm_spread = self  # keeps the folder

    def __str__(self) -> str:
        """How many of the network's parts lie where."""
        counts: dict[str, int] = {}
        for place in self.places.values():
            counts[place] = counts.get(place, 0) + 1
        return ", ".join(f"{place}: {count}" for place, count in sorted(counts.items()))


def _automatic(module: PreTrainedModel, dtype: torch.dtype) -> dict[str, str]:
    """GPUs in order as far as they reach, then main memory, then disk."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_max_memory

    room = {
        device: int(free * (1 if device == DISK else ROOM))
        for device, free in get_max_memory().items()
    }
    module.tie_weights()
    found = infer_auto_device_map(
        module, room, no_split_module_classes=list(module._no_split_modules or []), dtype=dtype
    )
    return {name: _device(place) for name, place in found.items()}


def _stated(module: PreTrainedModel, wanted: Mapping[str, Any]) -> dict[str, str]:
    """A user's table, with every name and device in it known and no tensor left out."""
    import torch

    known = {name for name, _ in module.named_modules()}
    strange = [str(name) for name in wanted if name not in known]
    if strange:
        raise RequirementError(
            f"The network has no part {', '.join(strange)}.",
            requirement="device_map",
            hint=f"Its parts are {', '.join(name for name, _ in module.named_children())}, "
            "and what is inside them.",
        )
    places = {str(name): _device(place) for name, place in wanted.items()}
    for place in sorted(set(places.values()) - {"cpu", DISK}):
        try:
            torch.empty(1, device=place)
        except (RuntimeError, AssertionError) as error:
            raise RequirementError(
                f"There is no device {place!r} here.", requirement="device_map", hint=_HINT
            ) from error
    homeless = [
        name
        for name, _ in module.named_parameters()
        if not any(f"{name}.".startswith(f"{each}.") or not each for each in places)
    ]
    if homeless:
        raise RequirementError(
            f"The device map places {homeless[0]} and {len(homeless) - 1} more nowhere.",
            requirement="device_map",
            hint='"" stands for everything that is not named.',
        )
    return places


def _device(place: Any) -> str:
    """accelerate's number or word as torch's word."""
    return f"cuda:{place}" if isinstance(place, int) else str(place)
