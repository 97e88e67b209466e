"""What every decoder of this plugin shares: one way of being called, one key-value cache.

A network is a ``...ForCausalLM`` of ``transformers`` with ``CausalForward`` mixed in; a family is a
``CausalModel``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from dnallm_core.checkpoints import CheckpointFolder
from dnallm_core.errors import CheckpointError, SequenceError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import (
    Advance,
    Attends,
    CarriesState,
    Embeds,
    Model,
    PredictsBases,
    example_vocabulary,
)
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class CausalOutput(ModelOutput):
    """What a decoder returns; what was not asked for is None.

    ``last_hidden_state`` (batch, tokens, width) is after the final norm: what the head reads.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None  # (batch, tokens, vocabulary), of the next token
    last_hidden_state: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


def real_positions(attention_mask: Tensor) -> Tensor:
    """Position of each token among the real ones of its row: padding on either side shifts none.

    Padded positions get a valid number as well (0 before the first real token), which nothing reads.
    """
    return (attention_mask.long().cumsum(-1) - 1).clamp_min(0)


class CausalForward:
    """The forward of a stock ``...ForCausalLM`` that always sets ``last_hidden_state``.

    Stock networks count positions from the left edge of the batch, so that left padding shifts a
    row; here positions count real tokens. Training (``labels``), caches and ``generate`` of
    ``transformers`` work as in the stock class.
    """

    learned_positions: ClassVar[bool] = False
    """Whether there is a table of positions, beyond whose end the network cannot go."""

    @can_return_tuple
    def forward(
        self: Any,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalOutput:
        """Ids (batch, tokens) to hidden states and logits of the next token."""
        if position_ids is None and attention_mask is not None and attention_mask.ndim == 2:
            position_ids = real_positions(attention_mask)[
                :, -_new_tokens(input_ids, inputs_embeds) :
            ]
        if self.learned_positions:
            new = _new_tokens(input_ids, inputs_embeds)
            refuse_beyond(self.config, new, past_key_values)
        trunk = self.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            # a cache costs memory that a single pass never reads: only on request
            use_cache=bool(use_cache) or past_key_values is not None,
            **kwargs,
        )
        hidden = trunk.last_hidden_state  # (batch, tokens, width)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(hidden[:, kept, :])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        return CausalOutput(
            loss=loss,
            logits=logits,
            last_hidden_state=hidden,
            past_key_values=trunk.past_key_values,
            hidden_states=trunk.hidden_states,
            attentions=trunk.attentions,
        )


def refuse_beyond(config: PreTrainedConfig, new: int, past_key_values: Cache | None) -> None:
    """SequenceError where ``new`` more tokens run past the table of positions."""
    past = past_key_values.get_seq_length() if past_key_values is not None else 0
    if past + new > config.max_position_embeddings:
        raise SequenceError(
            f"{past + new:,} tokens are too long: this network has "
            f"{config.max_position_embeddings:,} learned positions.",
            hint="Cut the sequence into windows, or choose a model that takes more.",
        )


def _new_tokens(input_ids: Tensor | None, inputs_embeds: Tensor | None) -> int:
    """Tokens that are not in the cache yet."""
    given = input_ids if input_ids is not None else inputs_embeds
    if given is None:
        raise TypeError("A decoder needs input_ids or inputs_embeds.")
    return int(given.shape[1])


class CausalModel(PredictsBases, Embeds, CarriesState, Attends, Model):
    """A family of decoders: embeds, predicts, carries a key-value cache, shows its attention."""

    config_class: ClassVar[type[PreTrainedConfig]]
    network_class: ClassVar[type[PreTrainedModel]]
    model_types: ClassVar[Sequence[str]] = ()
    """What ``model_type`` in the authors' config.json may say."""
    required: ClassVar[Sequence[str]] = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
    )
    """Settings without which a default of ``transformers`` would silently stand in."""
    example: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
    }
    """A network as small as shows what it does, in the authors' words."""

    @classmethod
    def settings(cls, stated: dict[str, Any]) -> dict[str, Any]:
        """The authors' settings as the configuration class spells them (a place for quirks)."""
        return stated

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """config.json under the authors' names; ``arguments`` where there is none."""
        stated = {**(folder.config if folder is not None else {}), **arguments}
        kind = stated.get("model_type")
        if kind is not None and kind not in cls.model_types:
            raise CheckpointError(
                f"config.json speaks of model_type {kind!r}; {cls.__name__} reads "
                f"{' or '.join(map(repr, cls.model_types))}.",
                hint="The checkpoint is of another family.",
            )
        absent = [name for name in cls.required if name not in stated]
        if absent:
            raise CheckpointError(
                f"The configuration lacks {', '.join(absent)}.",
                hint="Give a folder with the authors' config.json, or config={...}.",
            )
        try:
            config = cls.config_class.from_dict(cls.settings(dict(stated)))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise CheckpointError(f"The configuration cannot be used: {error}.") from error
        config.dtype = None  # the dtype is the caller's to choose, not the file's
        return config

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig:
        """The class's ``example`` over the smallest declared vocabulary."""
        settings = {"vocab_size": example_vocabulary(facts), **cls.example}
        return cls.read_config(None, settings, None)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network, uninitialised."""
        return cls.network_class(config)

    def advance(self, input_ids: Tensor, state: Any = None) -> Advance:
        """Continue from ``state``, a key-value cache that is updated in place."""
        cache = state if state is not None else DynamicCache(config=self.module.config)
        output = self.module(input_ids=input_ids, past_key_values=cache, use_cache=True)
        return Advance(output.logits, output.past_key_values)

    def select_rows(self, state: Any, rows: Tensor) -> Any:
        """A cache of the given rows, in that order; ``state`` stays as it was."""
        selected = copy.copy(state)
        selected.layers = [copy.copy(layer) for layer in state.layers]
        for layer in selected.layers:
            if layer.is_initialized:
                index = rows.to(layer.keys.device)
                layer.keys = layer.keys.index_select(0, index)
                layer.values = layer.values.index_select(0, index)
        return selected

    def attention_weights(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """One (batch, heads, tokens, tokens) a layer, computed by the plain path."""
        with _plain_attention(self.module):
            return self.module(**inputs, output_attentions=True).attentions


@contextmanager
def _plain_attention(module: PreTrainedModel) -> Iterator[None]:
    """Attention computed step by step: fused kernels never hold the weights that are asked for."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)


def inference(function: Any) -> Any:
    """``torch.inference_mode`` as a typed decorator."""
    return torch.inference_mode()(function)
