"""The architecture-family interfaces: small protocols, and what keeping one promises.

A family's class inherits ``Model`` and each protocol that its networks keep::

    class Caduceus(PredictsBases, Embeds, Model): ...

``isinstance(model, Embeds)`` then answers what the model can do, and tasks are written against the
protocols alone. Where a protocol has a body, it serves every network that is called in the house's
way (see ``Model.module``); a family overrides it where its network is asked differently. The
conformance kit proves that what a manifest declares and what a class keeps agree.

Tensors are (batch, tokens, ...) unless said otherwise. ``inputs`` always holds ``input_ids``
(int64) and may hold ``attention_mask`` (1 where real) and whatever else the network takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Inputs = Mapping[str, Tensor]


@runtime_checkable
class Embeds(Protocol):
    """A state vector for every token."""

    module: Any

    def token_states(self, inputs: Inputs, layer: int = -1) -> Tensor:
        """Hidden states (batch, tokens, width) of ``layer``: 0 the embedding, -1 what the head reads."""
        if layer == -1:
            return self.module(**inputs).last_hidden_state
        return self.module(**inputs, output_hidden_states=True).hidden_states[layer]


@runtime_checkable
class PredictsBases(Protocol):
    """Logits over the vocabulary for every token: of that token (masked) or the next (causal)."""

    module: Any

    def token_logits(self, inputs: Inputs) -> Tensor:
        """Logits (batch, tokens, vocabulary)."""
        return self.module(**inputs).logits


@runtime_checkable
class PredictsMaskedBases(Protocol):
    """A masked model that shares work between masks of one base each, over one sequence."""

    module: Any

    def masked_logits(self, input_ids: Tensor, positions: Tensor, mask_id: int) -> Tensor:
        """Logits (positions, vocabulary) at each of ``positions`` (n,), it alone being ``mask_id``.

        ``input_ids`` (tokens,). Promise: to rounding, one forward pass over the row a position.
        """
        import torch

        found = []
        for position in positions.tolist():
            masked = input_ids.clone()
            masked[position] = mask_id
            found.append(self.module(input_ids=masked[None]).logits[0, position])
        return torch.stack(found)


class Advance(NamedTuple):
    """What ``CarriesState.advance`` returns."""

    logits: Tensor  # (batch, tokens, vocabulary)
    state: Any


@runtime_checkable
class CarriesState(Protocol):
    """A causal network whose past fits into a state: prompts in chunks, decoding, streaming.

    Promise: the logits of ``advance`` over any split of a sequence into chunks, state handed from
    one to the next, equal those of the whole.
    """

    def advance(self, input_ids: Tensor, state: Any = None) -> Advance:
        """Continue from ``state`` (None: the beginning) by (batch, tokens) ids.

        The state may be updated in place: the one passed in is used up.
        """
        ...

    def select_rows(self, state: Any, rows: Tensor) -> Any:
        """The state of the given batch rows, in that order, each as often as it is named.

        A state of its own: the one passed in stays as it was, and either may be continued.
        """
        ...


@runtime_checkable
class HasReceptiveField(Protocol):
    """An output that depends on a bounded stretch of the input, so that windows can be shared."""

    def receptive_field(self) -> tuple[int, int]:
        """How many tokens to the left and to the right of a position can change its output."""
        ...


@runtime_checkable
class TakesAlignment(Protocol):
    """A network that reads aligned sequences of other species beside the target's."""

    def aligned_species(self) -> int:
        """How many other species ``aux_features`` (batch, tokens, species) must hold."""
        ...

    def encode_alignment(self, rows: list[str]) -> Tensor:
        """Ids int64 (tokens, species) of aligned rows, one string a species, gaps as ``-``."""
        ...


@runtime_checkable
class PredictsRates(Protocol):
    """Substitution rates of a phylogenetic model in place of token probabilities."""

    def substitution_logits(self, inputs: Inputs) -> Tensor:
        """Unnormalised log-rates (batch, positions, 4) towards A, C, G, T.

        Row i stands for input position ``i + receptive_field()[0]``: the network does not pad.
        """
        ...


@runtime_checkable
class Attends(Protocol):
    """A network that can show its attention weights."""

    def attention_weights(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """One (batch, heads, tokens, tokens) a layer."""
        ...


def torch_dtype(name: str) -> torch.dtype:
    """The torch dtype of a manifest's word."""
    import torch

    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
