"""A family's network as small as it goes, with weights of chance, loaded as a checkpoint is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..checkpoints import KeyRules, fill
from ..loading import build
from ..models import Model

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


class Tensors:
    """A checkpoint in memory: what ``fill`` reads from."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.shapes = {name: tuple(each.shape) for name, each in tensors.items()}

    def tensor(self, key: str) -> Tensor:
        """The tensor of a key."""
        return self.tensors[key]


def reference(implementation: type[Model], config: PreTrainedConfig) -> PreTrainedModel:
    """The network as its class makes it on a CPU, with weights large enough to be felt.

    Initial weights of 0.02 hide what a network does wrong behind rounding. Tables and matrices of
    chance get the spread that keeps a signal's size; what has a structure of its own stays.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = implementation.build(config)
        module.tie_weights()
        chance = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim < 2 or not parameter.is_floating_point():
                    continue
                spread = float(parameter.std())
                if spread > 0 and abs(float(parameter.mean())) < 0.3 * spread:
                    wanted = (parameter[0].numel()) ** -0.5
                    parameter.mul_(wanted / spread)
                elif spread == 0 and float(parameter.abs().max()) == 0:
                    wanted = (parameter[0].numel()) ** -0.5
                    parameter.copy_(wanted * torch.randn(parameter.shape, generator=chance))
    return module.eval()


def stored(module: PreTrainedModel) -> dict[str, Tensor]:
    """The tensors that a checkpoint of ``module`` holds, each once."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach().clone()
    return tensors


def rules_without_names(rules: KeyRules) -> KeyRules:
    """A family's rules for tensors that carry the module's own names: what may lack, what is one."""
    return KeyRules(ignore=rules.ignore, tied=rules.tied, computed=rules.computed)


def loaded(
    implementation: type[Model],
    config: PreTrainedConfig,
    tensors: dict[str, Tensor],
    dtype: torch.dtype = torch.float32,
) -> PreTrainedModel:
    """The network built on the meta device and filled, strictly."""
    module = build(implementation, config)
    rules = implementation.key_rules(config, {name: tuple(t.shape) for name, t in tensors.items()})
    fill(
        module,
        Tensors(tensors),
        rules_without_names(rules),
        dtype=dtype,
        device="cpu",
        float32_keys=implementation.float32_keys,
    )
    return module.eval()


def difference(first: Tensor, second: Tensor) -> float:
    """Worst |first - second| against the size of the numbers; infinite where one is not a number."""
    first, second = first.float(), second.float()
    if not (torch.isfinite(first).all() and torch.isfinite(second).all()):
        return float("inf")
    if not first.numel():
        return 0.0
    return float((first - second).abs().max() / second.abs().max().clamp(min=1e-6))


def answer(found: Any, name: str) -> Tensor | None:
    """A field of a network's output, or None."""
    value = found.get(name) if hasattr(found, "get") else getattr(found, name, None)
    return value if isinstance(value, Tensor) else None
