"""Dilated convolutions over both strands; masked."""

import torch
from dnallm_core.checkpoints import KeyRules
from dnallm_core.models import Embeds, HasReceptiveField, Model, PredictsBases, PredictsMaskedBases
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput


class TideConfig(PreTrainedConfig):
    model_type = "sound-tide"

    def __init__(self, vocab_size=8, width=16, layers=3, complement=None, **others):
        self.vocab_size, self.width, self.num_hidden_layers = vocab_size, width, layers
        self.complement = complement or [0, 1, 2, 6, 5, 4, 3, 7]
        super().__init__(**others)


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.conv = nn.Conv1d(config.width, config.width, 3, padding=2**layer, dilation=2**layer)

    def forward(self, x, mask):
        mixed = self.conv((nn.functional.gelu(self.norm(x)) * mask).transpose(1, 2))
        return (x + mixed.transpose(1, 2)) * mask


class TideNetwork(PreTrainedModel):
    config_class = TideConfig
    base_model_prefix = "tide"

    def __init__(self, config):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config, at) for at in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size)
        self.register_buffer("order", torch.tensor(config.complement), persistent=False)
        self.post_init()

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, TideNetwork):
            with torch.no_grad():
                module.order.copy_(torch.tensor(module.config.complement))

    def strand(self, ids, mask):
        x = self.table(ids) * mask
        states = [x]
        for block in self.blocks:
            x = block(x, mask)
            states.append(x)
        states[-1] = self.norm(x)
        return states

    def forward(self, input_ids, attention_mask=None, output_hidden_states=False, **others):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = mask[..., None].to(self.table.weight.dtype)
        here = self.strand(input_ids, mask)
        there = self.strand(self.order[input_ids].flip(1), mask.flip(1))
        states = tuple(torch.cat([a, b.flip(1)], -1) for a, b in zip(here, there, strict=True))
        one, two = states[-1].chunk(2, -1)
        logits = self.head(one) + self.head(two)[..., self.order]
        result = MaskedLMOutput(
            logits=logits, hidden_states=states if output_hidden_states else None
        )
        result["last_hidden_state"] = states[-1]
        return result


class Tide(PredictsBases, PredictsMaskedBases, Embeds, HasReceptiveField, Model):
    @classmethod
    def read_config(cls, folder, arguments, shapes):
        return TideConfig(**{**(folder.config if folder else {}), **arguments})

    @classmethod
    def example_config(cls, facts):
        return TideConfig()

    @classmethod
    def build(cls, config):
        return TideNetwork(config)

    @classmethod
    def key_rules(cls, config, shapes):
        return KeyRules()

    def receptive_field(self):
        reach = 2**self.module.config.num_hidden_layers - 1
        return reach, reach
