"""Low-rank adapters (LoRA, Hu et al. 2021) put into a network and merged back, through ``peft``."""

from __future__ import annotations

from typing import Any

from ..errors import CapabilityError
from .extra import needs


def insert(module: Any, *, rank: int, targets: str | list[str] = "all-linear") -> int:
    """Put adapters beside the linear layers, in place; all else is frozen. Returns how many.

    The output layer of a language-modelling head is left out. The network keeps its class and
    its way of being called.
    """
    peft = needs("peft", "LoRA")
    settings = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets
    )
    try:
        peft.inject_adapter_in_model(settings, module)
    except ValueError as error:
        raise CapabilityError(
            f"No adapter can be put into {type(module).__name__}: {error}",
            hint="Fine-tune it in full (--method full).",
        ) from error
    return len(_adapted(module))


def unused(module: Any) -> int:
    """How many adapters have learned nothing: the network reads those layers' weights past them."""
    return sum(
        not any(bool(matrix.weight.any()) for matrix in layer.lora_B.values())
        for _, layer in _adapted(module)
    )


def merge(module: Any) -> None:
    """Add every adapter to its layer's weights and take it out."""
    for name, layer in _adapted(module):
        layer.merge()
        owner_name, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner_name), leaf, layer.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config


def _adapted(module: Any) -> list[tuple[str, Any]]:
    layers = needs("peft.tuners.tuners_utils", "LoRA")
    return [
        (name, each)
        for name, each in module.named_modules()
        if isinstance(each, layers.BaseTunerLayer)
    ]
