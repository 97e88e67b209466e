"""Attention over learned positions; masked, with a hard end."""

import torch
from dnallm_core.checkpoints import KeyRules
from dnallm_core.models import Attends, Embeds, Model, PredictsBases
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput


class PondConfig(PreTrainedConfig):
    model_type = "sound-pond"
    attribute_map = {"max_position_embeddings": "positions"}  # noqa: RUF012

    def __init__(self, vocab_size=8, width=16, layers=2, positions=520, **others):
        self.vocab_size, self.width, self.num_hidden_layers = vocab_size, width, layers
        self.positions = positions
        super().__init__(**others)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)

    def split(self, x):
        return (each[:, None] for each in self.query_key_value(self.norm(x)).chunk(3, -1))

    def forward(self, x, allowed):
        query, key, value = self.split(x)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return x + mixed[:, 0]

    def shares(self, x):
        query, key, _ = self.split(x)
        return (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)


class PondNetwork(PreTrainedModel):
    config_class = PondConfig
    base_model_prefix = "pond"

    def __init__(self, config):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.width)
        self.places = nn.Embedding(config.positions, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, output_hidden_states=False, **others):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        places = (mask.cumsum(1) - 1).clamp(min=0)
        allowed = None if bool(mask.all()) else mask[:, None, None, :].bool()
        x = self.table(input_ids) + self.places(places)
        states = [x]
        for layer in self.layers:
            x = layer(x, allowed)
            states.append(x)
        states[-1] = self.norm(x)
        result = MaskedLMOutput(
            logits=self.head(states[-1]),
            hidden_states=tuple(states) if output_hidden_states else None,
        )
        result["last_hidden_state"] = states[-1]
        return result


class Pond(PredictsBases, Embeds, Attends, Model):
    @classmethod
    def read_config(cls, folder, arguments, shapes):
        return PondConfig(**{**(folder.config if folder else {}), **arguments})

    @classmethod
    def example_config(cls, facts):
        return PondConfig()

    @classmethod
    def build(cls, config):
        return PondNetwork(config)

    @classmethod
    def key_rules(cls, config, shapes):
        return KeyRules()

    def attention_weights(self, inputs):
        states = self.module(**inputs, output_hidden_states=True).hidden_states
        return tuple(
            layer.shares(x) for layer, x in zip(self.module.layers, states[:-1], strict=True)
        )
