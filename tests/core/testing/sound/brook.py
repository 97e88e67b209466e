"""A gated recurrence, scanned in log(length) steps; causal."""

import torch
from dnallm_core.checkpoints import KeyRules
from dnallm_core.models import Advance, CarriesState, Embeds, Model, PredictsBases
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput


class BrookConfig(PreTrainedConfig):
    model_type = "sound-brook"

    def __init__(self, vocab_size=8, width=16, layers=2, **others):
        self.vocab_size, self.width, self.num_hidden_layers = vocab_size, width, layers
        super().__init__(**others)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.gate = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x, mask, past):
        inner = self.norm(x)
        keep = torch.sigmoid(self.gate(inner))
        new = (1 - keep) * torch.tanh(self.value(inner))
        keep, new = torch.where(mask > 0, keep, torch.ones_like(keep)), new * mask
        step = 1
        while step < x.shape[1]:  # after it, new[t] is the state that came of the last 2 * step
            back = nn.functional.pad(new, (0, 0, step, 0))[:, : x.shape[1]]
            far = nn.functional.pad(keep, (0, 0, step, 0), value=1.0)[:, : x.shape[1]]
            new, keep = new + keep * back, keep * far
            step *= 2
        state = new + keep * past[:, None]
        return x + self.out(state), state[:, -1]


class BrookNetwork(PreTrainedModel):
    config_class = BrookConfig
    base_model_prefix = "brook"

    def __init__(self, config):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size)
        self.post_init()

    def forward(
        self, input_ids, attention_mask=None, output_hidden_states=False, past=None, **others
    ):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = mask[..., None].to(self.table.weight.dtype)
        x = self.table(input_ids)
        states, carried = [x], []
        past = past or [x.new_zeros(x.shape[0], x.shape[2]) for _ in self.layers]
        for layer, before in zip(self.layers, past, strict=True):
            x, after = layer(x, mask, before)
            states.append(x)
            carried.append(after)
        states[-1] = self.norm(x)
        result = CausalLMOutput(
            logits=self.head(states[-1]),
            hidden_states=tuple(states) if output_hidden_states else None,
        )
        result["last_hidden_state"] = states[-1]
        result["carried"] = carried
        return result


class Brook(PredictsBases, Embeds, CarriesState, Model):
    @classmethod
    def read_config(cls, folder, arguments, shapes):
        return BrookConfig(**{**(folder.config if folder else {}), **arguments})

    @classmethod
    def example_config(cls, facts):
        return BrookConfig()

    @classmethod
    def build(cls, config):
        return BrookNetwork(config)

    @classmethod
    def key_rules(cls, config, shapes):
        return KeyRules()

    def advance(self, input_ids, state=None):
        found = self.module(input_ids=input_ids, past=state)
        return Advance(found.logits, found["carried"])

    def select_rows(self, state, rows):
        return [each[rows] for each in state]
