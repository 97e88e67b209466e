"""Convolutions over bases and a signal; without a signal, it is silence."""

import torch
from dnallm_core.models import Embeds, Model, PredictsBases
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput


class SignalConfig(PreTrainedConfig):
    """How wide."""

    model_type = "downstream-signal"

    def __init__(self, vocab_size=8, width=16, **others):
        self.vocab_size, self.width, self.num_hidden_layers = vocab_size, width, 1
        super().__init__(**others)


class SignalNetwork(PreTrainedModel):
    """One block."""

    config_class = SignalConfig
    base_model_prefix = "signal"

    def __init__(self, config):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.width)
        self.gain = nn.Linear(1, config.width)
        self.mix = nn.Conv1d(config.width, config.width, 5, padding=2)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size)
        self.post_init()

    def forward(
        self, input_ids, attention_mask=None, numbers=None, output_hidden_states=False, **_
    ):
        """``numbers`` (batch, tokens)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = mask[..., None].to(self.table.weight.dtype)
        signal = torch.zeros_like(input_ids) if numbers is None else numbers
        cosine = torch.cos(self.gain(signal[..., None].to(self.table.weight.dtype) + 1))
        first = (self.table(input_ids) + cosine) * mask
        mixed = nn.functional.gelu(self.mix(first.transpose(1, 2)).transpose(1, 2))
        states = (first, self.norm(first + mixed))
        found = MaskedLMOutput(
            logits=self.head(states[-1]), hidden_states=states if output_hidden_states else None
        )
        found["last_hidden_state"] = states[-1]
        return found


class Signal(PredictsBases, Embeds, Model):
    """What the manifest names."""

    @classmethod
    def read_config(cls, folder, arguments, shapes):
        """From config.json or the manifest."""
        return SignalConfig(**{**(folder.config if folder else {}), **arguments})

    @classmethod
    def example_config(cls, facts):
        """As it is."""
        return SignalConfig()

    @classmethod
    def build(cls, config):
        """The network."""
        return SignalNetwork(config)
