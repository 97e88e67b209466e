"""DNAGPT (Zhang et al. 2023, 10.1101/2023.07.11.548628): a GPT that also reads and writes numbers.

A pre-norm GPT with learned positions and no biases. Three small heads stand beside it: numbers are
embedded and put into the sequence of token embeddings (``numbers``, ``number_block``); a number is
read off the state at given positions (``number_loc`` -> ``num``); the next token's logits come from
a head that is not tied to the embedding. Everything is asked by a text with tags: ``<R>`` opens a
human sequence, ``<=>`` asks for the answer, ``<M>`` stands where a number is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from dnallm_core.checkpoints import CheckpointFolder
from dnallm_core.errors import CapabilityError, CheckpointError, SequenceError
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import can_return_tuple

from ._attention import plain_attention
from ._causal import CausalModel, CausalOutput, inference, real_positions, refuse_beyond

# --- configuration ----------------------------------------------------------------------------


class DNAGPTConfig(PreTrainedConfig):
    """Sizes under the names of the authors' constructor."""

    model_type = "dnagpt"
    keys_to_ignore_at_inference = ("past_key_values",)
    attribute_map = {  # noqa: RUF012 - a contract of transformers
        "hidden_size": "embedding_dim",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "max_position_embeddings": "max_len",
    }

    vocab_size: int = 15_659
    max_len: int = 4096
    num_layers: int = 12
    num_heads: int = 12
    embedding_dim: int = 768
    bias: bool = False
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False
    pad_token_id: int | None = 20


# --- layers -----------------------------------------------------------------------------------


class CausalSelfAttention(nn.Module):
    """Queries, keys and values from one matrix, in that order along its rows."""

    is_causal = True

    def __init__(self, config: DNAGPTConfig, layer: int) -> None:
        super().__init__()
        width = config.embedding_dim
        self.config = config
        self.layer = layer
        self.head_width = width // config.num_heads
        self.c_attn = nn.Linear(width, 3 * width, bias=config.bias)
        self.c_proj = nn.Linear(width, width, bias=config.bias)

    def forward(
        self, x: Tensor, mask: Tensor | None, cache: Cache | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        """States (batch, tokens, width) mixed, and the weights where they are computed."""
        batch, tokens, width = x.shape
        query, key, value = (
            each.view(batch, tokens, -1, self.head_width).transpose(1, 2)
            for each in self.c_attn(x).split(width, dim=-1)
        )  # (batch, heads, tokens, head width)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, plain_attention
        )
        mixed, weights = attend(
            self, query, key, value, mask, dropout=0.0, scaling=self.head_width**-0.5, **kwargs
        )  # (batch, tokens, heads, head width)
        return self.c_proj(mixed.reshape(batch, tokens, width)), weights


class FeedForward(nn.Module):
    """Four times the width, GELU in its tanh form."""

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__()
        width = config.embedding_dim
        self.c_fc = nn.Linear(width, 4 * width, bias=config.bias)
        self.c_proj = nn.Linear(4 * width, width, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width), token by token."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(GradientCheckpointingLayer):
    """x + attention(norm x), then x + feed-forward(norm x)."""

    def __init__(self, config: DNAGPTConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.embedding_dim, bias=config.bias)
        self.attn = CausalSelfAttention(config, layer)
        self.ln_2 = nn.LayerNorm(config.embedding_dim, bias=config.bias)
        self.mlp = FeedForward(config)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: Cache | None = None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, tokens, width), and the attention's weights where they are computed."""
        mixed, weights = self.attn(self.ln_1(x), mask, cache, **kwargs)
        x = x + mixed
        return x + self.mlp(self.ln_2(x)), weights


def head(inputs: int, width: int, outputs: int, bias: bool) -> nn.Sequential:
    """Linear, SiLU, norm, linear: the form of all three of DNAGPT's heads."""
    return nn.Sequential(
        nn.Linear(inputs, width, bias=bias),
        nn.SiLU(),
        nn.LayerNorm(width, bias=bias),
        nn.Linear(width, outputs, bias=bias),
    )


# --- network ----------------------------------------------------------------------------------


@dataclass
class DNAGPTOutput(CausalOutput):
    """``num`` (batch, locations, 1): the numbers read off at ``number_loc``."""

    num: Tensor | None = None


class DNAGPTForCausalLM(PreTrainedModel, GenerationMixin):
    """The GPT with its heads, keys as in the authors' files."""

    config_class = DNAGPTConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules = ("Block",)
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__(config)
        width, bias = config.embedding_dim, config.bias
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, width),
                "wpe": nn.Embedding(config.max_len, width),
                "h": nn.ModuleList(Block(config, index) for index in range(config.num_layers)),
                "ln_f": nn.LayerNorm(width, bias=bias),
            }
        )
        self.number_embedding = head(1, width, width, bias)
        self.mlm_head = head(width, width, config.vocab_size, bias)
        self.num_regression = head(width, width, 1, bias)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.transformer["wte"]

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        self.transformer["wte"] = value

    def get_output_embeddings(self) -> None:
        """None: the head is two layers deep, so there is no matrix to tie or resize."""
        return

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        numbers: Tensor | None = None,
        number_loc: Tensor | None = None,
        number_block: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> DNAGPTOutput:
        """Ids (batch, tokens) to states and logits; with numbers, their positions are in both.

        ``numbers``: (count,) for every row, or (batch, count). ``number_block``: (batch,), after how
        many tokens the numbers stand (and again after as many more, where tokens are left), or
        (batch, blocks), the lengths of the blocks between which they stand. ``number_loc``:
        (batch, locations), positions (numbers counted) at which ``num`` is read.
        """
        x = inputs_embeds if inputs_embeds is not None else self.transformer["wte"](input_ids)
        if numbers is not None and number_block is not None:
            x, attention_mask = self._with_numbers(x, attention_mask, numbers, number_block)
        refuse_beyond(self.config, x.shape[1], past_key_values)
        if past_key_values is None and use_cache:
            past_key_values = DynamicCache(config=self.config)
        past = past_key_values.get_seq_length() if past_key_values is not None else 0
        if position_ids is None and attention_mask is not None and attention_mask.ndim == 2:
            position_ids = real_positions(attention_mask)[:, -x.shape[1] :]
        if position_ids is None:
            position_ids = torch.arange(past, past + x.shape[1], device=x.device)[None]
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=x,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        x = x + self.transformer["wpe"](position_ids)  # (batch, tokens, width)
        states, attentions = [x], []
        for block in self.transformer["h"].children():
            x, weights = block(x, mask=mask, cache=past_key_values, **kwargs)
            states.append(x)
            attentions.append(weights)
        x = self.transformer["ln_f"](x)
        states[-1] = x
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.mlm_head(x[:, kept])  # (batch, tokens, vocabulary)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        num = None
        if number_loc is not None:
            row = torch.arange(x.shape[0], device=x.device)[:, None]
            num = self.num_regression(x[row, number_loc.to(x.device)])  # (batch, locations, 1)
        return DNAGPTOutput(
            loss=loss,
            logits=logits,
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
            num=num,
        )

    def _with_numbers(
        self, x: Tensor, attention_mask: Tensor | None, numbers: Tensor, number_block: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The embedded numbers between blocks of token embeddings, and the mask made as long."""
        batch = x.shape[0]
        values = numbers.to(x.dtype).reshape(-1, numbers.shape[-1])
        embedded = self.number_embedding(values[..., None])  # (1 or batch, count, width)
        embedded = embedded.expand(batch, -1, -1)
        rows, masks = [], []
        for index in range(batch):
            lengths = number_block[index].tolist()  # one length for all blocks, or a list
            rows.append(_joined(x[index].split(lengths), embedded[index]))
            if attention_mask is not None:
                real = attention_mask.new_ones(embedded.shape[1])
                masks.append(_joined(attention_mask[index].split(lengths), real))
        return torch.stack(rows), torch.stack(masks) if masks else attention_mask


def _joined(blocks: Sequence[Tensor], between: Tensor) -> Tensor:
    parts = [blocks[0]]
    for block in blocks[1:]:
        parts += [between, block]
    return torch.cat(parts)


# --- family -----------------------------------------------------------------------------------


class DNAGPT(CausalModel):
    """dna_gpt0.1b_h, dna_gpt0.1b_m, dna_gpt3b_m; publishes no configuration file."""

    config_class = DNAGPTConfig
    network_class = DNAGPTForCausalLM
    arguments = ("vocab_size", "max_len", "num_layers", "num_heads", "embedding_dim", "bias")
    example = {  # noqa: RUF012
        "max_len": 520,
        "num_layers": 2,
        "num_heads": 2,
        "embedding_dim": 16,
        "bias": False,
    }

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The authors' arguments; all but ``num_heads`` can be read off the tensors."""
        stated = dict(arguments)
        if (
            folder is not None
            and not stated
            and folder.config.get("model_type", "dnagpt") == "dnagpt"
        ):
            stated = {key: folder.config[key] for key in cls.arguments if key in folder.config}
        unknown = sorted(set(stated) - set(cls.arguments))
        if unknown:
            raise CheckpointError(
                f"DNAGPT has no setting {', '.join(map(repr, unknown))}.",
                hint=f"Its settings are {', '.join(cls.arguments)}.",
            )
        seen = {**_sizes(shapes or {}), **stated}
        absent = [name for name in cls.arguments if name not in seen]
        if absent:
            raise CheckpointError(
                f"DNAGPT publishes no configuration file, and {', '.join(absent)} cannot be read "
                "off the tensors.",
                hint="Give config={'num_heads': ...}, or a config.json with it beside the weights: "
                "12 for 0.1b_h and 0.1b_m, 64 for 3b_m.",
            )
        if seen["num_heads"] < 1 or seen["embedding_dim"] % seen["num_heads"]:
            raise CheckpointError(
                f"A width of {seen['embedding_dim']} cannot be shared by {seen['num_heads']} heads."
            )
        return DNAGPTConfig(**seen)

    @staticmethod
    def generation_prompt(sequence: str, species: str = "R") -> str:
        """A sequence to be continued, opened by its species' tag (``R``: human)."""
        return f"<{species}>{sequence}"

    @staticmethod
    def classification_prompt(sequence: str, species: str = "R") -> str:
        """A sequence and the question of its class, as the authors' genomic-signal script puts it."""
        return f"<{species}>{sequence}<=><{species}>"

    @staticmethod
    def regression_prompt(sequence: str, species: str = "R") -> str:
        """A sequence, numbers that belong to it (``<+><M>``), and the question of another number."""
        return f"<{species}>{sequence}<+><M><=><M>"

    @inference
    def classify(self, prompt: str) -> dict[str, float]:
        """Probability that a genomic signal is ``real`` (the answer ``N``) rather than ``fake`` (``A``).

        For a checkpoint fine-tuned for it (the authors' classification.pth) with the vocabulary of
        all k-mers. The two answers' probabilities sum to one.
        """
        answers = [self.tokenizer.vocabulary.get(letter) for letter in "NA"]
        if None in answers:
            raise CapabilityError(
                "This DNAGPT has only 6-mers in its vocabulary: it cannot answer with one letter.",
                hint="The authors' classification runs on dna_gpt0.1b_m.",
            )
        logits = self.module(input_ids=self._ids(prompt)).logits[0, -1].float()
        real, fake = logits[torch.tensor(answers)].softmax(-1).tolist()
        return {"real": real, "fake": fake}

    @inference
    def regress(self, prompt: str, numbers: Sequence[float]) -> float:
        """The number that ``prompt`` asks for, given others; see ``regression_prompt``.

        The numbers stand before the prompt's last two tokens; the answer is read at the end.
        """
        ids = self._ids(prompt)
        tokens = ids.shape[1]
        if tokens < 3:
            raise SequenceError("A regression prompt has at least three tokens.")
        output = self.module(
            input_ids=ids,
            numbers=torch.tensor([list(numbers)], device=ids.device),
            number_block=torch.tensor([[tokens - 2, 2]]),
            number_loc=torch.tensor([[tokens + len(numbers) - 1]]),
            logits_to_keep=1,
        )
        return float(output.num)

    def _ids(self, prompt: str) -> Tensor:
        return torch.tensor([self.tokenizer.encode(prompt).ids], device=self.device)


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """What the tensors' shapes tell of the settings."""
    names = {key.removeprefix("model."): shape for key, shape in shapes.items()}
    try:
        vocabulary, width = names["transformer.wte.weight"]
        length, _ = names["transformer.wpe.weight"]
    except (KeyError, ValueError):
        return {}
    blocks = {key.split(".")[2] for key in names if key.startswith("transformer.h.")}
    return {
        "vocab_size": vocabulary,
        "max_len": length,
        "num_layers": len(blocks),
        "embedding_dim": width,
        "bias": "transformer.ln_f.bias" in names,
    }
