"""GPT-2 as transformers has it, its last state said as dnallm asks for it."""

import copy

from dnallm_core.checkpoints import KeyRules
from dnallm_core.models import Advance, CarriesState, Embeds, Model, PredictsBases
from transformers import GPT2Config, GPT2LMHeadModel


class StockNetwork(GPT2LMHeadModel):
    """Positions are counted from the first real token; the last state is set."""

    def forward(self, input_ids=None, attention_mask=None, output_hidden_states=False, **more):
        if attention_mask is not None and "position_ids" not in more:
            more["position_ids"] = (attention_mask.cumsum(1) - 1).clamp(min=0)
        more.setdefault("use_cache", False)
        found = super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=True,
            **more,
        )
        found["last_hidden_state"] = found.hidden_states[-1]
        if not output_hidden_states:
            found.hidden_states = None
        return found


class StockGPT(PredictsBases, Embeds, CarriesState, Model):
    """What the manifest names."""

    @classmethod
    def read_config(cls, folder, arguments, shapes):
        """From config.json or the manifest."""
        stated = {**(folder.config if folder else {}), **arguments}
        return GPT2Config(**{"vocab_size": 8, "bos_token_id": 1, "eos_token_id": 1, **stated})

    @classmethod
    def example_config(cls, facts):
        """Two narrow layers."""
        return cls.read_config(
            None, {"n_positions": 520, "n_embd": 16, "n_layer": 2, "n_head": 2}, None
        )

    @classmethod
    def build(cls, config):
        """The network."""
        return StockNetwork(config)

    @classmethod
    def key_rules(cls, config, shapes):
        """The head is the table again."""
        return KeyRules(tied={"lm_head.weight": "transformer.wte.weight"})

    def advance(self, input_ids, state=None):
        """With transformers' own cache."""
        found = self.module(input_ids=input_ids, past_key_values=state, use_cache=True)
        return Advance(found.logits, found.past_key_values)

    def select_rows(self, state, rows):
        """A cache of some rows; the whole one stays as it was."""
        state = copy.deepcopy(state)
        state.batch_select_indices(rows)
        return state
