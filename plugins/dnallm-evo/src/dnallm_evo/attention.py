"""Causal attention with rotary positions and a key-value cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization

from .configuration import StripedHyenaConfig

_MASK = 1 << 25  # entries of a mask that are held at once


@dataclass
class AttentionState:
    """Keys and values so far; the first ``used`` of the room are filled."""

    keys: Tensor  # (batch, heads, room, head)
    values: Tensor
    used: int = 0

    @classmethod
    def empty(cls, like: Tensor) -> AttentionState:
        """Nothing yet; ``like`` is (batch, heads, tokens, head)."""
        return cls(like[:, :, :0], like[:, :, :0])

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add (batch, heads, tokens, head); returns all keys and values so far."""
        end = self.used + keys.shape[2]
        if self.used == 0:
            self.keys, self.values = keys, values
        else:
            if end > self.keys.shape[2]:
                # A step reads the whole cache anyway: copying it once in so many is cheap.
                room = max(end, self.used + max(256, self.used // 32))
                self.keys, self.values = (self._wider(each, room) for each in self._filled())
            self.keys[:, :, self.used : end] = keys
            self.values[:, :, self.used : end] = values
        self.used = end
        return self._filled()

    def rows(self, which: Tensor) -> AttentionState:
        """Some rows of the batch."""
        keys, values = self._filled()
        return AttentionState(keys[which], values[which], self.used)

    def _filled(self) -> tuple[Tensor, Tensor]:
        return self.keys[:, :, : self.used], self.values[:, :, : self.used]

    def _wider(self, filled: Tensor, room: int) -> Tensor:
        wider = filled.new_empty(*filled.shape[:2], room, filled.shape[3])
        wider[:, :, : self.used] = filled
        return wider


class Rotary(nn.Module):
    """Rotary frequencies, halves rotated against each other (NeoX style).

    Evo 1's code recomputes them in float32; Evo 2's uses what the checkpoint stores, rounded to
    bfloat16 as they are in its 1B and 7B files. So only Evo 2 has them in its state dict.
    """

    inv_freq: Tensor

    def __init__(self, config: StripedHyenaConfig) -> None:
        super().__init__()
        self.width = config.head_size
        self.base = config.rotary_emb_base
        self.divisor = config.rotary_divisor
        self.register_buffer(
            "inv_freq", self.frequencies(), persistent=config.stores_rotary_frequencies
        )

    def frequencies(self) -> Tensor:
        """``base ** (-2 i / width)``, float32."""
        return 1.0 / self.base ** (torch.arange(0, self.width, 2, dtype=torch.float32) / self.width)

    def initialise(self) -> None:
        """Compute what no checkpoint gave."""
        initialization.copy_(self.inv_freq, self.frequencies())

    def forward(self, x: Tensor, first: int) -> Tensor:
        """Turn (batch, heads, tokens, head) by the angles of positions from ``first`` on."""
        positions = torch.arange(first, first + x.shape[2], device=x.device, dtype=torch.float32)
        angles = torch.outer(positions / self.divisor, self.inv_freq.float())
        cosine, sine = angles.cos(), angles.sin()  # (tokens, head / 2)
        one, other = x.float().chunk(2, dim=-1)
        turned = torch.cat([one * cosine - other * sine, other * cosine + one * sine], dim=-1)
        return turned.to(x.dtype)


class Attention(nn.Module):
    """Multi-head attention; the rows of ``Wqkv`` are all queries, all keys, all values."""

    def __init__(self, config: StripedHyenaConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.Wqkv = nn.Linear(width, 3 * width, bias=config.qkv_proj_bias)
        self.out_proj = nn.Linear(width, width, bias=config.mha_out_proj_bias)
        self.rotary_emb = Rotary(config)

    def forward(
        self, x: Tensor, state: AttentionState | None = None
    ) -> tuple[Tensor, AttentionState]:
        """(batch, tokens, width) -> the same, and the state after the last token."""
        projected = self.Wqkv(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, head)
        state = state or AttentionState.empty(key)
        before = state.used
        query, key = self.rotary_emb(query, before), self.rotary_emb(key, before)
        keys, values = state.append(key, value)
        if before == 0 or x.shape[1] == 1:
            mixed = F.scaled_dot_product_attention(query, keys, values, is_causal=before == 0)
        else:
            step = max(1, _MASK // keys.shape[2])
            pieces = [
                self._continue(piece, keys, values, before + index * step)
                for index, piece in enumerate(query.split(step, dim=2))
            ]
            mixed = torch.cat(pieces, dim=2)
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), state

    def _continue(self, query: Tensor, keys: Tensor, values: Tensor, first: int) -> Tensor:
        """Queries at positions from ``first`` on, each over the keys up to its own."""
        end = first + query.shape[2]
        own = torch.arange(first, end, device=query.device)[:, None]
        visible = torch.arange(end, device=query.device) <= own
        return F.scaled_dot_product_attention(
            query, keys[:, :, :end], values[:, :, :end], attn_mask=visible
        )
