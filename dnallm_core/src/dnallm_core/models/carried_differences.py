"""Differences of causal log-likelihoods, the reference read once and alternatives from where they part.

A causal model's likelihood up to a variant is the same for both alleles. So one pass over a window's
reference serves all variants in it, and an alternative is run from the state that the reference had
shortly before it (``CarriesState``): to rounding, what two whole passes a variant give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .batching import ROWS_A_BATCH, TOKENS_A_BATCH, encode
from .likelihood import STREAMED_CHUNK
from .masked_likelihood import log_probability
from .variant_windows import PlacedVariant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..sequences.tokenizers import Encoding
    from .model import Model

STOPS = 16
"""States are kept at so many places of a window: an alternative repeats half a stretch at most of
what it shares, and alternatives from one place make up a batch."""


@dataclass(slots=True)
class _Row:
    """Tokens of a window up to the last that counts, and which share of a token's bases does."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    first: int | None = None  # the token of the first base, where each base is one token


@dataclass(slots=True)
class _Question:
    """An alternative, the reference row whose beginning it shares, and how far."""

    row: int
    end: int  # tokens of that row that are its own reference window
    shared: int  # leading tokens that both have in common
    alternative: _Row


def carried_differences(
    model: Any,
    placed: Sequence[PlacedVariant],
    *,
    tokens: int = TOKENS_A_BATCH,
    rows: int = ROWS_A_BATCH,
) -> NDArray[np.float64] | None:
    """Log-likelihood of each alternative window less that of its reference window, (n,) in nats.

    None where tokens overlap, so that what a token counts for depends on what follows it.
    """
    import numpy as np
    import torch

    texts = sorted({each.window for each in placed})
    encodings = encode(model, texts)
    if any(_overlaps(each) for each in encodings):
        return None
    own = [_row(text, each) for text, each in zip(texts, encodings, strict=True)]
    owner = _owners(own)
    windows = {text: number for number, text in enumerate(texts)}
    questions: dict[PlacedVariant, _Question] = {}
    for each in placed:
        if each not in questions:
            number = windows[each.window]
            questions[each] = _question(model, each, own[number], owner[number])
    effects = np.empty(len(questions))
    places = {question: number for number, question in enumerate(questions)}
    asked = list(questions.values())
    with torch.inference_mode():
        for batch in _batches(own, asked, tokens, rows):
            for number, effect in _run(model, own, asked, batch, tokens, rows):
                effects[number] = effect
    return effects[[places[each] for each in placed]]


def _overlaps(encoding: Encoding) -> bool:
    reached = 0
    for start, end in encoding.offsets:
        if end > start:
            if start < reached:
                return True
            reached = end
    return False


def _row(text: str, encoding: Encoding) -> _Row:
    """The tokens up to the last that counts; the first is given, not predicted."""
    import numpy as np

    spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    known = np.isin(np.frombuffer(text.encode(), dtype=np.uint8), np.frombuffer(b"ACGT", np.uint8))
    before = np.concatenate([[0], np.cumsum(known)])
    width = np.maximum(spans[:, 1] - spans[:, 0], 1)
    weights = (before[spans[:, 1]] - before[spans[:, 0]]) / width
    weights[:1] = 0
    kept = int(np.flatnonzero(weights)[-1]) + 1 if weights.any() else 1
    real = np.flatnonzero(spans[:, 1] > spans[:, 0])
    single = len(real) == len(text) and bool((np.diff(real) == 1).all())
    first = int(real[0]) if single else None
    return _Row(np.array(encoding.ids[:kept], dtype=np.int64), weights[:kept], first)


def _owners(rows: list[_Row]) -> list[int]:
    """For each row, by sorted text, the longest that begins with its tokens: their pass is one."""
    import numpy as np

    owner = list(range(len(rows)))
    for number in reversed(range(len(rows) - 1)):
        ids, longer = rows[number].ids, rows[number + 1].ids
        if len(ids) <= len(longer) and np.array_equal(ids, longer[: len(ids)]):
            owner[number] = owner[number + 1]
    return owner


def _question(model: Model, each: PlacedVariant, own: _Row, owner: int) -> _Question:
    import numpy as np

    bases = model.tokenizer.base_ids
    if own.first is not None and bases is not None:
        begin = own.first + each.start
        end = begin + len(each.ref)
        ids = np.array([bases[base] for base in each.alt], dtype=np.int64)
        weights = np.ones(len(ids))
        weights[: begin == 0] = 0
        row = _Row(
            np.concatenate([own.ids[:begin], ids, own.ids[end:]]),
            np.concatenate([own.weights[:begin], weights, own.weights[end:]]),
        )
    else:
        text = each.alternative
        row = _row(text, model.tokenizer.encode(text))
    most = min(len(own.ids), len(row.ids))
    apart = np.flatnonzero(own.ids[:most] != row.ids[:most])
    return _Question(owner, len(own.ids), int(apart[0]) if len(apart) else most, row)


def _batches(
    own: list[_Row], asked: list[_Question], tokens: int, rows: int
) -> Iterator[dict[int, list[int]]]:
    """Reference rows of similar length, each with the questions that are asked of it."""
    by_row: dict[int, list[int]] = {}
    for number, question in enumerate(asked):
        by_row.setdefault(question.row, []).append(number)
    order = sorted(by_row, key=lambda row: (-len(own[row].ids), row))
    at = 0
    while at < len(order):
        most = max(1, min(rows, tokens // len(own[order[at]].ids)))
        yield {row: by_row[row] for row in order[at : at + most]}
        at += most


def _run(
    model: Any,
    own: list[_Row],
    asked: list[_Question],
    batch: dict[int, list[int]],
    tokens: int,
    rows: int,
) -> Iterator[tuple[int, float]]:
    """One pass over some reference rows, from whose states their alternatives go on."""
    import numpy as np
    import torch

    listed = list(batch)
    length = max(len(own[row].ids) for row in listed)
    ids = _padded([own[row].ids for row in listed], length)
    step = -(-length // STOPS)
    stops: dict[
        int, list[tuple[int, int]]
    ] = {}  # where a state is kept: (place in batch, question)
    for place, row in enumerate(listed):
        for number in batch[row]:
            # the token that differs is foretold by the one before it
            stop = max(asked[number].shared - 1, 0) // step * step
            stops.setdefault(stop, []).append((place, number))
    found = np.zeros((len(listed), length))  # log P of each token
    alternatives: dict[int, float] = {}
    state = None
    for begin, end in pairwise(sorted({0, *stops, length})):
        waiting = stops.get(begin, [])
        waiting.sort(key=lambda each: -len(asked[each[1]].alternative.ids))
        while waiting:
            longest = len(asked[waiting[0][1]].alternative.ids)
            most = max(1, min(rows, tokens // longest))
            some, waiting = waiting[:most], waiting[most:]
            chosen = torch.tensor([place for place, _ in some], device=model.device)
            copied = None if state is None else model.select_rows(state, chosen)
            numbers = [number for _, number in some]
            values = _suffixes(model, [asked[number] for number in numbers], begin, copied)
            alternatives.update(zip(numbers, values, strict=True))
        state = _advance(model, ids, begin, end, state, found)
    for place, row in enumerate(listed):
        weights = own[row].weights
        summed = np.concatenate([[0.0], np.cumsum(weights * found[place, : len(weights)])])
        for number in batch[row]:
            question = asked[number]
            if not (weights[: question.end].any() and question.alternative.weights.any()):
                yield number, np.nan
                continue
            reference = summed[question.end] - summed[min(question.shared, question.end)]
            yield number, alternatives[number] - reference


def _suffixes(model: Any, several: list[_Question], begin: int, state: Any) -> list[float]:
    """Log-likelihoods of alternatives from where each parts from its reference."""
    import numpy as np

    length = max(len(each.alternative.ids) for each in several)
    if length == begin:
        return [0.0] * len(several)
    ids = _padded([each.alternative.ids for each in several], length)
    found = np.zeros((len(several), length))
    _advance(model, ids, begin, length, state, found)
    values = []
    for row, each in zip(found, several, strict=True):
        counted = slice(each.shared, len(each.alternative.ids))
        values.append(float(row[counted] @ each.alternative.weights[counted]))
    return values


def _advance(
    model: Any,
    ids: NDArray[np.int64],
    begin: int,
    end: int,
    state: Any,
    found: NDArray[np.float64],
) -> Any:
    """Go on from ``begin`` to ``end``; log P of what each token foretells is put into ``found``."""
    import torch

    for first in range(begin, end, STREAMED_CHUNK):
        last = min(first + STREAMED_CHUNK, end)
        logits, state = model.advance(torch.tensor(ids[:, first:last], device=model.device), state)
        targets = torch.tensor(ids[:, first + 1 : last + 1], device=logits.device)
        known = targets.shape[1]  # nothing follows the last token
        values = log_probability(logits[:, :known].flatten(0, 1), targets.flatten())
        found[:, first + 1 : first + 1 + known] = values.view(targets.shape).cpu().numpy()
    return state


def _padded(rows: Sequence[NDArray[np.int64]], length: int) -> NDArray[np.int64]:
    """Rows of one length; what stands behind a row's end is felt by nothing before it."""
    import numpy as np

    padded = np.zeros((len(rows), length), dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded
