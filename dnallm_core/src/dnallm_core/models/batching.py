"""From sequences to padded tensors, so that no sequence feels what else is in its batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import CapabilityError, SequenceError
from ..sequences.tokenizers import Encoding
from .memory_limit import check_memory
from .prompts import normalised_text

if TYPE_CHECKING:
    from torch import Tensor

    from .model import Model

TOKENS_A_BATCH = 16_384
ROWS_A_BATCH = 64


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go through the network together; ``rows`` are their places in the input."""

    rows: list[int]
    encodings: list[Encoding]
    inputs: dict[str, Tensor]


def encode(
    model: Model,
    sequences: Sequence[str],
    *,
    special_tokens: bool = True,
    literal: bool = False,
    names: Sequence[str] | None = None,
    streamed: bool = False,
) -> list[Encoding]:
    """Encode sequences, refusing what the model cannot take.

    Sequences are normalised first (upper case, U as T; the model's own tags, as ``<R>``, may stand
    among the bases) unless ``literal``. Raises SequenceError for one that is empty or beyond a hard
    limit, by its name or number, and ResourceError for one that the CPU's memory cannot hold in one
    pass (unless ``streamed``: it will go through in chunks). There is one warning a model for the
    first sequence beyond a trained length, and one for the first of which the tokenizer loses bases.
    """
    encodings = []
    for number, sequence in enumerate(sequences):
        record = names[number] if names is not None else f"sequence {number + 1}"
        text = sequence if literal else normalised_text(model.tokenizer, sequence, record=record)
        if not text:
            raise SequenceError(f"{record} is empty.", record=record)
        if len(text) > TOKENS_A_BATCH and not streamed:
            check_memory(model, model.tokenizer.length(text), record)
        encoding = model.tokenizer.encode(text, special_tokens=special_tokens)
        check_length(model, model.tokenizer.length(text), len(encoding.ids), record)
        reached = next((end for _, end in reversed(encoding.offsets) if end), 0)
        unknown = model.tokenizer.unknown_id in encoding.ids
        if unknown or reached < model.tokenizer.length(text):
            tell_of_losses(model, text, record)
        encodings.append(encoding)
    return encodings


def tell_of_losses(model: Model, text: str, record: str) -> None:
    """Warn, once a model, of bases that no token stands for, as its authors' tokenizer has it."""
    if model.has_told_of_losses:
        return
    sentence = model.tokenizer.losses(text).sentence(record)
    if sentence:
        model.has_told_of_losses = True
        warnings.warn(f"{sentence} (Said once.)", stacklevel=4)


def check_length(model: Model, length: int, tokens: int, record: str) -> None:
    """Refuse, or warn of, an input beyond what the model was made for."""
    facts = model.manifest
    most_tokens = facts.max_tokens or model.context_tokens
    if facts.length_limit == "none" or most_tokens is None or tokens <= most_tokens:
        return
    sentence = (
        f"{record} has {length:,} bp ({tokens:,} tokens); {facts.id} was made for "
        f"{most_tokens:,} tokens"
        + (f" (about {facts.max_length:,} bp)." if facts.max_length else ".")
    )
    if facts.length_limit == "hard":
        raise SequenceError(
            sentence,
            record=record,
            hint=f"Cut it into windows, or see `dnallm models --length {length}` for models that "
            "take it whole.",
        )
    if not model.has_told_of_length:
        model.has_told_of_length = True
        warnings.warn(f"{sentence} What lies beyond is extrapolation. (Said once.)", stacklevel=4)


def batches(
    model: Model,
    encodings: Sequence[Encoding],
    *,
    tokens: int = TOKENS_A_BATCH,
    rows: int = ROWS_A_BATCH,
) -> Iterator[Batch]:
    """Encodings in batches of similar length, longest first, padded on the right.

    A batch has at most ``rows`` rows and ``tokens`` tokens, padding included, and at least one row.
    Rows of a network that cannot mask (``pads`` false) share a batch only if equally long.
    """
    order = sorted(range(len(encodings)), key=lambda row: (-len(encodings[row].ids), row))
    at = 0
    while at < len(order):
        longest = len(encodings[order[at]].ids)
        most = max(1, min(rows, tokens // max(longest, 1)))
        chosen = order[at : at + most]
        if not model.pads:
            chosen = [row for row in chosen if len(encodings[row].ids) == longest]
        at += len(chosen)
        kept = [encodings[row] for row in chosen]
        yield Batch(chosen, kept, collate(model, [each.ids for each in kept]))


def collate(model: Model, ids: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """``input_ids`` and, where rows differ in length, ``attention_mask``, on the model's device."""
    import torch

    longest = max(len(row) for row in ids)
    if all(len(row) == longest for row in ids):
        return {"input_ids": torch.tensor(ids, dtype=torch.long, device=model.device)}
    # What stands under the mask is never seen, so that a tokenizer without a pad token will do.
    filler = model.tokenizer.pad_id or 0
    padded = [[*row, *[filler] * (longest - len(row))] for row in ids]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    return {
        "input_ids": torch.tensor(padded, dtype=torch.long, device=model.device),
        "attention_mask": torch.tensor(mask, dtype=torch.long, device=model.device),
    }


def as_list(sequences: str | Sequence[str]) -> list[str]:
    """One sequence or several, as a list. Raises SequenceError for what is no text."""
    listed = [sequences] if isinstance(sequences, str) else list(sequences)
    for number, each in enumerate(listed, start=1):
        if not isinstance(each, str):
            raise SequenceError(
                f"sequence {number} is of type {type(each).__name__}, not text.",
                record=f"sequence {number}",
                hint='Give strings such as "ACGT".',
            )
    return listed


def require(model: Model, protocol: type, what: str, task: str) -> None:
    """Raise CapabilityError, naming models that can, unless the model keeps ``protocol``."""
    if isinstance(model, protocol):
        return
    from ..catalog import catalog

    able = [each.id for each in catalog().query(task=task)]
    raise CapabilityError(f"{model.manifest.id} {what}.", models=able)
