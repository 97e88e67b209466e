"""Low-rank adapters (LoRA, Hu et al. 2021) put into a network and merged back, through ``peft``."""

from __future__ import annotations

from typing import Any

from ..errors import CapabilityError
from ..models import Model
from ..models.batching import collate, encode
from .extra import needs


def insert(model: Model, *, rank: int, layer: int = -1) -> int:
    """Put adapters beside the linear layers on the way to ``layer``, in place; all else is frozen.

    Which layers those are is asked of the network: those that it calls when it trains. Layers of
    one weight (two directions of a scan) share an adapter, so that it can be merged into that
    weight. Returns how many adapters there are; raises CapabilityError where there is no such layer.
    """
    import torch

    peft = needs("peft", "LoRA")
    module = model.module
    names = _called(model, layer)
    first: dict[int, str] = {}
    shared: dict[str, str] = {}
    for name in names:
        weight = id(module.get_submodule(name).weight)
        if weight in first:
            shared[name] = first[weight]
        first.setdefault(weight, name)
    if not first:
        raise CapabilityError(
            f"{model.manifest.id} calls no linear layer that an adapter could stand beside.",
            hint="Fine-tune it in full (--method full), or its head alone (--method head).",
        )
    settings = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=[f"network.{name}" for name in first.values()],
    )
    # in a module without a configuration peft goes by the layers, not by the network's name
    peft.inject_adapter_in_model(settings, torch.nn.ModuleDict({"network": module}))
    for name, other in shared.items():
        owner, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner), leaf, module.get_submodule(other))
    return len(first)


def merge(module: Any) -> None:
    """Add every adapter to its layer's weights and take it out."""
    layers = needs("peft.tuners.tuners_utils", "LoRA")
    adapted = [
        (name, each)
        for name, each in module.named_modules(remove_duplicate=False)
        if isinstance(each, layers.BaseTunerLayer)
    ]
    for name, layer in adapted:
        if not layer.merged:
            layer.merge()
        owner, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner), leaf, layer.get_base_layer())


def _called(model: Model, layer: int) -> list[str]:
    """Names of the linear layers that a training network calls on its way to ``layer``.

    Output layers lie beyond it; one that shares its weight with the embedding is none of them.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    module: Any = model.module
    network: Any = model
    called: set[int] = set()
    linear: dict[str, Any] = {}
    embedded: set[int] = set()
    for name, each in module.named_modules(remove_duplicate=False):
        if isinstance(each, (torch.nn.Linear, Conv1D)):
            linear[name] = each
        elif isinstance(each, torch.nn.Embedding):
            embedded.add(id(each.weight))
    if not linear:
        return []
    weights = {id(each.weight): each.weight.requires_grad_() for each in linear.values()}
    hooks = [
        each.register_forward_hook(lambda one, *_: called.add(id(one))) for each in linear.values()
    ]
    ids = [each.ids for each in encode(model, ["ACGTACGTACGTACGTACGTACGT"])]
    try:
        module.train()
        with torch.enable_grad():
            states = network.token_states(collate(model, ids), layer)
        found = torch.autograd.grad(states.float().sum(), list(weights.values()), allow_unused=True)
    finally:
        module.eval()
        for hook in hooks:
            hook.remove()
    reached = {name for name, slope in zip(weights, found, strict=True) if slope is not None}
    return [
        name
        for name, each in linear.items()
        if id(each) in called and id(each.weight) in reached - embedded
    ]
