"""Tensors -> module, strictly: every key accounted for, nothing left to chance."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from ..errors import CheckpointError
from .keys import KeyRules
from .tensors import TensorSource

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def fill(
    module: PreTrainedModel,
    source: TensorSource,
    rules: KeyRules,
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    float32_keys: Sequence[str] = (),
    put: Callable[[str, Tensor, torch.dtype], Tensor] | None = None,
) -> None:
    """Give a module built on the meta device its tensors, in place.

    ``put`` takes the place of ``device`` where tensors go to several: it brings the tensor of a name
    to where it belongs, in a dtype.

    Floating tensors become ``dtype``, but for the module keys that match ``float32_keys``. Buffers
    that no checkpoint stores are computed by the module itself (``initialize_weights``).

    Raises CheckpointError listing every key that is missing, left over or of another shape.
    """
    groups = _shared_names(module, rules)
    group_of = {name: group for group in groups for name in group}
    wanted = module.state_dict(keep_vars=True)

    stored: dict[str, str] = {}
    unexpected: list[str] = []
    for key in source.shapes:
        if rules.is_ignored(key):
            continue
        name = rules.renamed(key)
        if name not in wanted:
            unexpected.append(key)
        elif name in stored:
            raise CheckpointError(f"{stored[name]} and {key} both stand for {name}.")
        else:
            stored[name] = key

    missing = [
        group[0]
        for group in groups
        if not any(name in stored for name in group)
        and not all(rules.is_computed(name) for name in group)
    ]
    misshapen: list[str] = []
    filled: dict[int, Tensor] = {}
    for index, group in enumerate(groups):
        present = [name for name in group if name in stored]
        if not present:
            continue
        first = rules.converted(present[0], source.tensor(stored[present[0]]))
        expected = tuple(wanted[group[0]].shape)
        if tuple(first.shape) != expected:
            misshapen.append(
                f"{stored[present[0]]} is {_shape(first.shape)}, the network's is {_shape(expected)}"
            )
            continue
        for other in present[1:]:
            second = rules.converted(other, source.tensor(stored[other]))
            if second.shape != first.shape or not _equal(first, second):
                raise CheckpointError(
                    f"{stored[present[0]]} and {stored[other]} are one tensor in the network, "
                    "and differ in the checkpoint."
                )
        filled[index] = first
    if missing or unexpected or misshapen:
        raise CheckpointError(
            _account(missing, unexpected, misshapen),
            missing=sorted(missing),
            unexpected=sorted(unexpected),
            misshapen=misshapen,
            hint="The checkpoint is of another family, another size, or incomplete.",
        )

    for index, tensor in filled.items():
        names = groups[index]
        form = tensor.dtype
        if tensor.is_floating_point():
            keep = any(re.fullmatch(each, name) for each in float32_keys for name in names)
            form = _float32() if keep else dtype
        target = put(names[0], tensor, form) if put else tensor.to(form).to(device)
        _assign(module, names, wanted[names[0]], target)
    _compute_the_rest(module, device, group_of, put)


def _shared_names(module: PreTrainedModel, rules: KeyRules) -> list[list[str]]:
    """Names of the module's state dict, those of one tensor together, in the module's order."""
    by_tensor: dict[int, list[str]] = {}
    home: dict[str, int] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        by_tensor.setdefault(id(tensor), []).append(name)
        home[name] = id(tensor)
    for name, other in rules.tied.items():
        if home[name] != home[other]:
            moved = by_tensor.pop(home[name])
            by_tensor[home[other]].extend(moved)
            home.update(dict.fromkeys(moved, home[other]))
    return list(by_tensor.values())


def _assign(module: nn.Module, names: list[str], old: Tensor, tensor: Tensor) -> None:
    from torch import nn

    if isinstance(old, nn.Parameter):
        tensor = nn.Parameter(
            tensor, requires_grad=old.requires_grad and tensor.is_floating_point()
        )
    tensor._is_hf_initialized = True  # type: ignore[attr-defined]
    for name in names:
        owner_name, _, leaf = name.rpartition(".")
        owner = module.get_submodule(owner_name)
        if leaf in owner._parameters:
            owner._parameters[leaf] = cast("nn.Parameter", tensor)
        else:
            owner._buffers[leaf] = tensor


def _compute_the_rest(
    module: PreTrainedModel,
    device: torch.device | str,
    group_of: dict[str, list[str]],
    put: Callable[[str, Tensor, torch.dtype], Tensor] | None,
) -> None:
    """Materialise what is still on meta and let the network compute it."""
    import torch

    def made(name: str, like: Tensor) -> Tensor:
        if put is None:
            return torch.empty_like(like, device=device)
        return put(name, like, like.dtype)

    for prefix, owner in module.named_modules():
        for leaf, buffer in owner._buffers.items():
            if buffer is not None and buffer.is_meta:
                owner._buffers[leaf] = made(f"{prefix}.{leaf}".lstrip("."), buffer)
        for leaf, parameter in owner._parameters.items():
            if parameter is not None and parameter.is_meta:  # not in the state dict, or computed
                name = f"{prefix}.{leaf}".lstrip(".")
                value = torch.nn.Parameter(made(name, parameter), requires_grad=False)
                for shared in group_of.get(name, [name]):
                    shared_owner, _, shared_leaf = shared.rpartition(".")
                    module.get_submodule(shared_owner)._parameters[shared_leaf] = value
    module.initialize_weights()


def _equal(first: Tensor, second: Tensor) -> bool:
    import torch

    return first.data_ptr() == second.data_ptr() or torch.equal(first, second)


def _float32() -> torch.dtype:
    import torch

    return torch.float32


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(str(each) for each in shape) if len(shape) else "a single number"


SHOWN = 20  # keys of a kind that the sentence names; the error's fields hold them all


def _account(missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str]) -> str:
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing: {_first(sorted(missing), ', ')}")
    if unexpected:
        parts.append(f"{len(unexpected)} left over: {_first(sorted(unexpected), ', ')}")
    if misshapen:
        parts.append(f"{len(misshapen)} of another shape: {_first(misshapen, '; ')}")
    return f"The checkpoint does not fit the network: {'. '.join(parts)}."


def _first(keys: Sequence[str], between: str) -> str:
    more = f" and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else ""
    return between.join(keys[:SHOWN]) + more
