"""Tier *runs*, checkpoints: what does not fit is refused, and what is saved comes back."""

from __future__ import annotations

import tempfile
from typing import Any

from ..errors import CheckpointError, DnallmError
from .promise import NotApplicable, check, require
from .subject import FamilySubject, ModelSubject


@check("C121", "runs", "family")
def check_refuses_a_missing_tensor(subject: FamilySubject) -> None:
    """A checkpoint that lacks any trained tensor is refused: nothing is left to chance."""
    rules = subject.implementation.key_rules(subject.config, _shapes(subject.tensors))
    trained = {name for name, each in subject.reference.named_parameters() if each.requires_grad}
    excused = [name for name in subject.tensors if name in trained and rules.is_computed(name)]
    require(not excused, f"its key rules let a checkpoint lack {', '.join(excused[:3])}")
    names = [name for name in subject.tensors if name in trained]
    for name in _some(names, 6):
        less = {key: each for key, each in subject.tensors.items() if key != name}
        require(_refused(subject, less), f"a checkpoint without {name} was loaded")


@check("C122", "runs", "family")
def check_refuses_a_tensor_left_over(subject: FamilySubject) -> None:
    """A checkpoint with a tensor that the network has no place for is refused."""
    import torch

    layers = [name for name in subject.tensors if name.endswith("weight")] or [*subject.tensors]
    for name in ("a_layer_of_another_network.weight", f"{layers[-1].rpartition('.')[0]}.surplus"):
        more = {**subject.tensors, name: torch.zeros(3, 3)}
        require(_refused(subject, more), f"a checkpoint with {name} was loaded")


@check("C123", "runs", "family")
def check_refuses_a_misshapen_tensor(subject: FamilySubject) -> None:
    """A checkpoint with a tensor of another shape is refused."""
    import torch

    for name in _some([key for key, each in subject.tensors.items() if each.ndim], 4):
        tensor = subject.tensors[name]
        other = torch.cat([tensor, tensor[:1]])
        require(
            _refused(subject, {**subject.tensors, name: other}),
            f"a checkpoint whose {name} has a row too many was loaded",
        )


@check("C124", "runs", "family")
def check_saves_and_loads(subject: FamilySubject) -> None:
    """``save_pretrained`` writes what ``from_pretrained`` reads: the same answers come back."""
    from .example import difference

    ids = subject.ids(subject.length)
    before = subject.outputs(ids)
    with tempfile.TemporaryDirectory() as folder:
        _quietly(lambda: subject.model.module.save_pretrained(folder))
        again, told = _quietly(
            lambda: type(subject.model.module).from_pretrained(folder, output_loading_info=True)
        )
    rules = subject.implementation.key_rules(subject.config, _shapes(subject.tensors))
    lost = {*told.get("missing_keys", ()), *told.get("unexpected_keys", ())} - set(rules.tied)
    require(not lost, f"from_pretrained did not find a place for {', '.join(sorted(lost)[:3])}")
    for ours, theirs in zip(subject.outputs(ids, module=again.eval()), before, strict=True):
        apart = difference(ours, theirs)
        require(apart <= 2e-4, f"what was saved answers otherwise, by {apart:.1e}")


@check("C125", "runs", "model")
def check_bundled_weights_load(subject: ModelSubject) -> None:
    """Weights that ship in the plugin load, strictly and without running anything."""
    if not subject.facts.is_bundled:
        raise NotApplicable("its weights are not bundled")
    import dnallm_core

    try:
        model = dnallm_core.load(subject.facts.id, device="cpu", dtype="float32", offline=True)
    except DnallmError as error:
        require(False, str(error))
    if "sequence" in subject.facts.inputs and len(subject.facts.inputs) == 1:
        vectors = model.embed("ACGT" * 8)
        require(bool((vectors == vectors).all()), "it answers with no numbers")


def _refused(subject: FamilySubject, tensors: dict[str, Any]) -> bool:
    from . import example

    try:
        example.loaded(subject.implementation, subject.config, tensors)
    except CheckpointError:
        return True
    return False


def _some(names: list[str], most: int) -> list[str]:
    """At most ``most`` of the names: the first, the last, and some between."""
    if len(names) <= most:
        return names
    return [names[round(at * (len(names) - 1) / (most - 1))] for at in range(most)]


def _shapes(tensors: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in tensors.items()}


def _quietly(call: Any) -> Any:
    from transformers.utils import logging

    level = logging.get_verbosity()
    shown = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return call()
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
