"""A head for any network that embeds: token states are pooled over a sequence and mapped to outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..sequences.alphabet import reverse_complement
from ..sequences.tokenizers import Encoding
from .batching import encode
from .model import Model

Row = dict[str, Any]


class Head(nn.Module):
    """Pooled states (batch, width) -> outputs (batch, outputs)."""

    def __init__(self, width: int, outputs: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Outputs (batch, outputs) in float32."""
        found: Tensor = self.linear(self.dropout(self.norm(pooled.float())))
        return found


class HeadedNetwork(nn.Module):
    """A model's network with a head on the mean of its token states.

    Special tokens enter the mean as the manifest says, as in ``Model.embed``. With ``both_strands``
    the head reads the mean of a sequence's and its reverse complement's vectors, so that its answer
    is the same for both. ``frozen``: the network stays in evaluation and gets no gradient.
    ``each_token``: the head reads every token's state, and answers for each; one strand is read.
    """

    def __init__(
        self,
        model: Model,
        head: Head,
        *,
        layer: int = -1,
        both_strands: bool = False,
        frozen: bool = False,
        each_token: bool = False,
    ) -> None:
        super().__init__()
        self.each_token = each_token
        self.network = model.module
        self.head = head
        self.model = model
        self.layer = layer
        self.both_strands = both_strands
        self.frozen = frozen

    def train(self, mode: bool = True) -> HeadedNetwork:
        """As of any module; a frozen network stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(self, **inputs: Tensor) -> Tensor:
        """Outputs (batch, outputs), or (batch, tokens, outputs), of what ``collated`` made."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            vectors = self._pooled(inputs, "")
            if self.both_strands:
                vectors = (vectors + self._pooled(inputs, "reverse_")) * 0.5
        found: Tensor = self.head(vectors)
        return found

    def _pooled(self, inputs: dict[str, Tensor], strand: str) -> Tensor:
        kept = {
            name: inputs[strand + name]
            for name in ("input_ids", "attention_mask")
            if strand + name in inputs
        }
        model: Any = self.model
        states: Tensor = model.token_states(kept, self.layer).float()  # (batch, tokens, width)
        if self.each_token:
            return states
        counted = inputs[strand + "counted"][..., None]  # (batch, tokens, 1)
        total = states.masked_fill(~counted, 0.0).sum(1)
        return total / counted.sum(1).clamp(min=1)

    # --- from sequences to batches ------------------------------------------------------------

    def rows(self, sequences: Sequence[str], names: Sequence[str] | None = None) -> list[Row]:
        """What ``collated`` reads of each sequence: ids, and which tokens enter the mean.

        ``offsets`` of the tokens, in bp, come with them where each token is answered for.
        """
        rows = [self._row("", each) for each in encode(self.model, sequences, names=names)]
        if self.both_strands:
            others = [reverse_complement(each) for each in sequences]
            for row, encoding in zip(rows, encode(self.model, others, names=names), strict=True):
                row.update(self._row("reverse_", encoding))
        return rows

    def _row(self, strand: str, encoding: Encoding) -> Row:
        bases = [end > start for start, end in encoding.offsets]
        if self.model.manifest.special_tokens_in_mean or not any(bases):
            bases = [True] * len(bases)
        found = {f"{strand}input_ids": encoding.ids, f"{strand}counted": bases}
        return {**found, "offsets": encoding.offsets} if self.each_token else found

    def collated(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Padded tensors of rows, on the CPU; a mask only where rows differ in length."""
        batch: dict[str, Tensor] = {}
        filler = self.model.tokenizer.pad_id or 0
        for strand in ("", "reverse_") if self.both_strands else ("",):
            ids = [row[f"{strand}input_ids"] for row in rows]
            counted = [row[f"{strand}counted"] for row in rows]
            longest = max(map(len, ids))
            lacking = [longest - len(each) for each in ids]
            batch[f"{strand}input_ids"] = torch.tensor(
                [[*each, *[filler] * more] for each, more in zip(ids, lacking, strict=True)]
            )
            batch[f"{strand}counted"] = torch.tensor(
                [[*each, *[False] * more] for each, more in zip(counted, lacking, strict=True)]
            )
            if any(lacking):
                batch[f"{strand}attention_mask"] = torch.tensor(
                    [[1] * (longest - more) + [0] * more for more in lacking]
                )
        if rows and "labels" in rows[0] and self.each_token:
            longest = batch["input_ids"].shape[1]
            batch["labels"] = torch.tensor(
                [[*row["labels"], *[-100] * (longest - len(row["labels"]))] for row in rows]
            )
        elif rows and "labels" in rows[0]:
            batch["labels"] = torch.stack([row["labels"] for row in rows])
        return batch

    @torch.inference_mode()
    def answers(self, rows: Sequence[Row], *, tokens: int = 16_384, most: int = 64) -> list[Tensor]:
        """Outputs of each row, (outputs,) or (tokens, outputs), on the CPU.

        Rows go through in batches of similar length.
        """
        self.eval()
        order = sorted(range(len(rows)), key=lambda at: -len(rows[at]["input_ids"]))
        found: list[Any] = [None] * len(rows)
        start = 0
        while start < len(order):
            longest = len(rows[order[start]]["input_ids"])
            chosen = order[start : start + max(1, min(most, tokens // max(longest, 1)))]
            if not self.model.pads:
                chosen = [at for at in chosen if len(rows[at]["input_ids"]) == longest]
            start += len(chosen)
            batch = self.collated(
                [{k: v for k, v in rows[at].items() if k != "labels"} for at in chosen]
            )
            there = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
            for at, row in zip(chosen, self(**there).cpu(), strict=True):
                found[at] = row[: len(rows[at]["input_ids"])] if self.each_token else row
        return found

    def outputs(self, rows: Sequence[Row], *, tokens: int = 16_384, most: int = 64) -> Tensor:
        """Outputs (n, outputs), on the CPU, of rows that are answered for as a whole."""
        return torch.stack(self.answers(rows, tokens=tokens, most=most))


def width_of(model: Model, layer: int) -> int:
    """How wide a model's token states are, asked of the model itself."""
    from .embedding import embed

    return int(embed(model, ["ACGTACGTACGTACGT"], layer=layer).shape[1])
