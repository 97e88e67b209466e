"""GPN-Star's network (``model_type`` GPNStar): an alignment read along its phylogenetic tree.

Ye, Benegas, Albors, Li, Prillo, Fields, Clarke, Song (2026), Nature, 10.1038/s41586-026-11005-5. The
aligned species are grouped into clades; at each position a clade's species are pooled into one
vector. The target's sequence goes through layers that attend along the sequence (RoFormer, half of
the heads) and then, at each position, to the clades (the other half), a clade counting less the
further it is: an additive bias learned from the distance in the tree. A target never attends to the
clade that it belongs to.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import initialization as init
from transformers.models.roformer.modeling_roformer import (
    RoFormerConfig,
    RoFormerIntermediate,
    RoFormerOnlyMLMHead,
    RoFormerOutput,
    RoFormerPreTrainedModel,
    RoFormerSelfAttention,
    RoFormerSinusoidalPositionalEmbedding,
)

from ._output import NetworkOutput


class GPNStarConfig(RoFormerConfig):
    """Settings under their authors' names, and the tree, which they keep in files of its own.

    ``clades`` (species,): the clade of each species, the target's first; ``in_clade`` (species,):
    distance to the clade's common ancestor; ``to_clades`` (species, clades): mean distance to the
    members of each clade; ``max_evol_dist``: the largest distance of all.
    """

    model_type = "GPNStar"

    vocab_size: int = 6
    time_enc: str = "fire_1"
    clade_thres: float = 0.2
    clades: Any = None
    in_clade: Any = None
    to_clades: Any = None
    max_evol_dist: float | int | None = None
    tie_word_embeddings: bool = False


class DistanceBias(nn.Module):
    """An attention bias from a distance d: mlp(log(c d + 1) / log(c d_max + 1)) (FIRE)."""

    def __init__(self, largest: float, hidden: int = 32) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.tensor(100.0))
        self.mlp = nn.Sequential(
            nn.Linear(1, hidden, bias=False), nn.SiLU(), nn.Linear(hidden, 1, bias=False)
        )
        self.largest = largest

    def forward(self, distance: Tensor) -> Tensor:
        """Distances of any shape to biases of the same."""
        c = self.c.clamp(min=0)
        scaled = torch.log(c * distance + 1) / torch.log(c * self.largest + 1)
        return self.mlp(scaled[..., None])[..., 0]


class CladePool(nn.Module):
    """A clade's species at a position, weighted by what they show and how far they are."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads // 2
        width = self.heads * (config.hidden_size // config.num_attention_heads)
        self.attention_weights = nn.Embedding(config.vocab_size, self.heads)
        self.value = nn.Embedding(config.vocab_size, width)
        self.ffn = nn.Linear(width, config.hidden_size)

    def forward(self, ids: Tensor, bias: Tensor) -> Tensor:
        """(batch, length, members) and (members,) to (batch, length, width)."""
        weights = (self.attention_weights(ids) + bias[:, None]).softmax(
            dim=2
        )  # (…, members, heads)
        values = self.value(ids).unflatten(-1, (self.heads, -1))  # (…, members, heads, head width)
        pooled = (weights[..., None] * values).sum(2)
        return self.ffn(pooled.flatten(2))


class Clades(nn.Module):
    """Aligned species to one vector a clade: (batch, length, species) to (…, clades, width)."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.attn_pool = CladePool(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_positions = DistanceBias(config.max_evol_dist or 1.0)
        self.time_scale = int(config.time_enc.partition("_")[2] or 1)
        numbered = sorted((clade, species) for species, clade in enumerate(config.clades or ()))
        self.members = [
            [species for _, species in group]
            for _, group in groupby(numbered, key=lambda each: each[0])
        ]

    def forward(self, source_ids: Tensor, in_clade: Tensor) -> Tensor:
        """``in_clade`` (species,): each one's distance to its clade's ancestor."""
        bias = self.embed_positions(in_clade * self.time_scale)
        pooled = [
            self.attn_pool(source_ids[..., members], bias[members])
            if len(members) > 1
            else self.embed(source_ids[..., members[0]])
            for members in self.members
        ]
        return torch.stack(pooled, dim=-2)


class HalfAttention(nn.Module):
    """Queries, keys and values of half the heads."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads // 2
        width = self.heads * (config.hidden_size // config.num_attention_heads)
        self.query = nn.Linear(config.hidden_size, width)
        self.key = nn.Linear(config.hidden_size, width)
        self.value = nn.Linear(config.hidden_size, width)

    def split(self, x: Tensor) -> Tensor:
        """(…, tokens, width) to (…, heads, tokens, head width)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class HalfOutput(nn.Module):
    """Back to the full width; residual and norm."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        inner = config.num_attention_heads // 2
        inner *= config.hidden_size // config.num_attention_heads
        self.dense = nn.Linear(inner, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, attended: Tensor, x: Tensor) -> Tensor:
        """(…, heads, tokens, head width) joined onto ``x`` (…, tokens, width)."""
        return self.LayerNorm(self.dense(attended.transpose(-2, -3).flatten(-2)) + x)


class RowAttention(nn.Module):
    """Along the sequence; where several targets are read, the first decides who attends to whom."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.self = HalfAttention(config)
        self.out = HalfOutput(config)
        self.rotary_value = config.rotary_value

    def forward(self, x: Tensor, sinusoids: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, targets, length, width) to the same."""
        half = self.self
        query, key = half.split(half.query(x[:, :1])), half.split(half.key(x[:, :1]))
        value = half.split(half.value(x))  # (batch, targets, heads, length, head width)
        rotate = RoFormerSelfAttention.apply_rotary_position_embeddings
        if self.rotary_value:
            query, key, value = rotate(sinusoids, query, key, value)
        else:
            query, key = rotate(sinusoids, query, key)
        query, key = (each.expand(-1, value.shape[1], -1, -1, -1) for each in (query, key))
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(attended, x)


class ColumnAttention(nn.Module):
    """At each position, from the targets to the clades."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.self = HalfAttention(config)
        self.out = HalfOutput(config)
        self.embed_positions = DistanceBias(config.max_evol_dist or 1.0)

    def forward(self, x: Tensor, clades: Tensor, distance: Tensor, own: Tensor) -> Tensor:
        """(batch, length, targets, width); ``distance`` and ``own`` (batch, targets, clades)."""
        half = self.self
        query, key = half.split(half.query(x)), half.split(half.key(clades))
        value = half.split(half.value(clades))
        bias = self.embed_positions(distance).masked_fill(own, torch.finfo(x.dtype).min)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias[:, None, None].to(x.dtype)
        )
        return self.out(attended, x)


class GPNStarAttention(nn.Module):
    """Rows, then columns."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.row_attention = RowAttention(config)
        self.col_attention = ColumnAttention(config)


class GPNStarLayer(nn.Module):
    """Attention and RoFormer's feed-forward block, each followed by its norm."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.attention = GPNStarAttention(config)
        self.intermediate = RoFormerIntermediate(config)
        self.output = RoFormerOutput(config)

    def forward(
        self,
        x: Tensor,
        clades: Tensor,
        sinusoids: Tensor,
        mask: Tensor | None,
        distance: Tensor,
        own: Tensor,
    ) -> Tensor:
        """(batch, length, targets, width) to the same."""
        x = self.attention.row_attention(x.transpose(1, 2), sinusoids, mask).transpose(1, 2)
        x = self.attention.col_attention(x, clades, distance, own)
        return self.output(self.intermediate(x), x)


class GPNStarEncoder(nn.Module):
    """The sinusoids, which are stored, and the layers."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.embed_positions = RoFormerSinusoidalPositionalEmbedding(
            config.max_position_embeddings, config.hidden_size // config.num_attention_heads
        )
        self.layer = nn.ModuleList([GPNStarLayer(config) for _ in range(config.num_hidden_layers)])


class TargetEmbedding(nn.Module):
    """A learned vector a letter."""

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__()
        self.input_embed = nn.Embedding(config.vocab_size, config.hidden_size)


class GPNStarForMaskedLM(RoFormerPreTrainedModel):
    """Ids (batch, length) and ``aux_features`` (batch, length, species) to logits of each base.

    The target's own row is the first of the aligned species: what is masked in one is in the other.
    As its authors call it, with ``input_ids`` (batch, length, targets), ``source_ids`` with all
    species and ``target_species`` (batch, targets), outputs keep the axis of the targets.
    """

    config_class = GPNStarConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _tied_weights_keys = {"cls.predictions.decoder.bias": "cls.predictions.bias"}  # noqa: RUF012

    in_clade: Tensor
    to_clades: Tensor
    clades: Tensor

    def __init__(self, config: GPNStarConfig) -> None:
        super().__init__(config)
        self.target_embedding = TargetEmbedding(config)
        self.source_embedding = Clades(config)
        self.encoder = GPNStarEncoder(config)
        self.cls = RoFormerOnlyMLMHead(config)
        self.cls.predictions.bias = self.cls.predictions.decoder.bias  # one tensor, two names
        species = len(config.clades or ())
        groups = len(set(config.clades or ()))
        self.register_buffer("in_clade", torch.zeros(species), persistent=False)
        self.register_buffer("to_clades", torch.zeros(species, groups), persistent=False)
        self.register_buffer("clades", torch.zeros(species, dtype=torch.long), persistent=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        aux_features: Tensor | None = None,
        source_ids: Tensor | None = None,
        target_species: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = False,
        **_: object,
    ) -> NetworkOutput:
        """See ``Model.module`` of the core."""
        alone = input_ids.dim() == 2
        targets = input_ids[..., None] if alone else input_ids
        if source_ids is None:
            if aux_features is None:
                raise ValueError("GPN-Star reads an alignment: give aux_features.")
            source_ids = torch.cat([targets[..., :1], aux_features.to(targets.dtype)], dim=-1)
        if target_species is None:
            target_species = targets.new_zeros(targets.shape[0], targets.shape[2])
        target_species = torch.as_tensor(target_species, device=targets.device)

        x = self.target_embedding.input_embed(targets)  # (batch, length, targets, width)
        clades = self.source_embedding(source_ids.long(), self.in_clade.to(x.dtype))
        distance = self.to_clades[target_species].to(x.dtype)  # (batch, targets, clades)
        own = functional.one_hot(self.clades[target_species], distance.shape[-1]).bool()
        sinusoids = self.encoder.embed_positions(targets.shape)[None, None].to(x.dtype)
        mask = None
        if attention_mask is not None and not bool(attention_mask.all()):
            mask = torch.zeros_like(attention_mask, dtype=x.dtype)
            mask = mask.masked_fill(attention_mask == 0, torch.finfo(x.dtype).min)
            mask = mask[:, None, None, None]  # (batch, 1, 1, 1, length)
        states = [x]
        for layer in self.encoder.layer:
            x = layer(x, clades, sinusoids, mask, distance, own)
            states.append(x)
        logits = self.cls(x)
        if alone:
            x, logits, states = x[:, :, 0], logits[:, :, 0], [each[:, :, 0] for each in states]
        kept = tuple(states) if output_hidden_states else None
        return NetworkOutput.of(x, logits, labels if alone else None, kept)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, DistanceBias):
            init.constant_(module.c, 100.0)
        elif module is self and self.config.clades:
            for name in ("in_clade", "to_clades", "clades"):
                buffer = getattr(self, name)
                init.copy_(buffer, torch.tensor(getattr(self.config, name), dtype=buffer.dtype))
