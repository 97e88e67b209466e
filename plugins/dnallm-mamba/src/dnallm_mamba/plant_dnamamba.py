"""Plant DNAMamba (doi 10.1016/j.molp.2024.12.006): transformers' Mamba, its mixers on our engines.

The network, its configuration and its parameter names are those of ``transformers``. Only the
arithmetic between a mixer's two projections is ours: transformers' own, without CUDA kernels, loops
over positions in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models import example_vocabulary
from dnallm_core.models.model import Model
from dnallm_core.models.protocols import Advance, CarriesState, Embeds, PredictsBases
from torch import Tensor
from transformers import MambaConfig, MambaForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.mamba.modeling_mamba import MambaCausalLMOutput, MambaMixer, MambaRMSNorm

from .mamba import Carry, groups_of_rows, scan_mixer, segments
from .rms_norm import rms_norm
from .scan import engine_name


@dataclass
class MambaState:
    """The past of a batch of sequences: one carry a block, of a size that does not grow."""

    carries: list[Carry | None]


class EngineMixer(MambaMixer):
    """MambaMixer whose convolution and scan run on the engine at hand."""

    def forward(
        self,
        hidden_states: Tensor,
        cache_params: Any = None,
        attention_mask: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        """(batch, length, hidden) -> the same; a ``MambaState`` is continued, in place.

        A cache of transformers' own (``generate``) takes its own path.
        """
        if cache_params is not None and not isinstance(cache_params, MambaState):
            out: Tensor = super().forward(hidden_states, cache_params, attention_mask, **more)
            return out
        mask = None if attention_mask is None else attention_mask.float()
        if cache_params is None:
            return groups_of_rows(lambda *rows: self._mix(*rows)[0], hidden_states, mask)
        carries = cache_params.carries
        mixed, carries[self.layer_idx] = self._mix(hidden_states, mask, carries[self.layer_idx])
        return mixed

    def _mix(
        self, hidden: Tensor, mask: Tensor | None, carry: Carry | None = None
    ) -> tuple[Tensor, Carry | None]:
        parts: list[Tensor] = []
        for segment in segments(hidden):
            x, gate = self.in_proj(hidden[:, segment]).chunk(2, dim=-1)
            real = None if mask is None else mask[:, segment]
            y, carry = scan_mixer(self, x, real, carry, gate=gate)
            parts.append(self.out_proj(y))
        return (torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]), carry


class FusedNorm(MambaRMSNorm):
    """MambaRMSNorm in one pass over its input."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., width) -> the same; computed in float32, weighted in the input's dtype."""
        return rms_norm(hidden_states, self.weight, self.variance_epsilon)


class PlantDNAMambaForCausalLM(MambaForCausalLM):
    """MambaForCausalLM with our mixers, which also gives ``last_hidden_state``."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__(config)
        for index, block in enumerate(self.backbone.layers):
            block.mixer = EngineMixer(config, index, initialize_mixer_weights=False)
            block.norm = FusedNorm(config.hidden_size, config.layer_norm_epsilon)
        self.backbone.norm_f = FusedNorm(config.hidden_size, config.layer_norm_epsilon)
        self.post_init()

    @property
    def engine(self) -> str:
        """The engine that runs the scan where this network lies now."""
        return engine_name(self.device)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        cache_params: Any = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> MambaCausalLMOutput:
        """(batch, length) ids -> logits of the next token, (batch, length, vocabulary)."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        out = self.backbone(
            inputs_embeds=inputs_embeds,
            cache_params=cache_params,
            use_cache=use_cache,
            output_hidden_states=bool(output_hidden_states),
            attention_mask=attention_mask,
        )
        hidden = out.last_hidden_state
        kept = hidden[:, -logits_to_keep:] if logits_to_keep else hidden
        logits = self.lm_head(kept.to(self.lm_head.weight.dtype)).float()
        loss = None
        if labels is not None:
            targets = labels[:, 1:].flatten().to(logits.device)
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets, ignore_index=-100)
        states = None
        if output_hidden_states:  # theirs lacks the embedding and repeats the last block unnormed
            states = (inputs_embeds, *out.hidden_states[:-2], hidden)
        result = MambaCausalLMOutput(
            loss=loss, logits=logits, cache_params=out.cache_params, hidden_states=states
        )
        result["last_hidden_state"] = hidden
        return result


class PlantDNAMamba(PredictsBases, Embeds, CarriesState, Model):
    """Plant DNAMamba of every size and tokenizer."""

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> MambaConfig:
        """From ``config.json``, where a size may stand under its old name, its new one, or both."""
        given = {**(folder.config if folder else {}), **arguments}
        for new, old in (("hidden_size", "d_model"), ("num_hidden_layers", "n_layer")):
            given.setdefault(new, given.get(old))
            if not isinstance(given[new], int):
                raise CheckpointError(
                    f"The configuration lacks {new} (or {old}).",
                    hint="A checkpoint of this family is a folder with its authors' config.json.",
                )
        if given.get("ssm_cfg"):
            raise CheckpointError(
                f"ssm_cfg describes another mixer than transformers' Mamba: {given['ssm_cfg']}."
            )
        known = set(MambaConfig().to_dict()) - {"architectures", "transformers_version", "dtype"}
        config = MambaConfig(**{key: value for key, value in given.items() if key in known})
        table = (shapes or {}).get("backbone.embeddings.weight")
        if table and "vocab_size" not in given:
            config.vocab_size = table[0]
        return config

    @classmethod
    def example_config(cls, facts: ModelManifest) -> MambaConfig:
        """Two narrow layers."""
        settings = {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 8, "time_step_rank": 4}
        return cls.read_config(None, {"vocab_size": example_vocabulary(facts), **settings}, None)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network, uninitialised."""
        return PlantDNAMambaForCausalLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The names are transformers'; the head is the embedding's table unless it is untied."""
        tied = {"lm_head.weight": "backbone.embeddings.weight"}
        return KeyRules(
            rename=[(r"^backbone\.embedding\.", "backbone.embeddings.")],  # mamba_ssm's own name
            tied=tied if config.tie_word_embeddings else {},
        )

    @torch.no_grad()
    def advance(self, input_ids: Tensor, state: MambaState | None = None) -> Advance:
        """Continue by (batch, tokens) ids in constant memory; ``state`` is updated in place."""
        if state is None:
            state = MambaState([None] * self.module.config.num_hidden_layers)
        return Advance(self.module(input_ids=input_ids, cache_params=state).logits, state)

    def select_rows(self, state: MambaState, rows: Tensor) -> MambaState:
        """The state of the given batch rows, in that order."""
        return MambaState(
            [each and Carry(each.edge[rows], each.state[rows]) for each in state.carries]
        )
