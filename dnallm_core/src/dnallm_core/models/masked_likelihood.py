"""Pseudo-log-likelihoods of masked models, base by base: see ``likelihood`` for what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import CapabilityError
from ..sequences.alphabet import BASES
from .batching import ROWS_A_BATCH, TOKENS_A_BATCH, collate, encode, require
from .prompts import letters_of
from .protocols import PredictsBases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..sequences.tokenizers import Encoding, Tokenizer
    from .model import Model


def masked_singly(model: Model, sequences: list[str], limits: dict[str, int]) -> list[Any]:
    """Each base masked, where bases are tokens: rows of equally long sequences share batches."""
    import numpy as np
    import torch

    assert isinstance(model, PredictsBases)
    encodings = encode(model, sequences)
    sequences = [letters_of(model.tokenizer, each) for each in sequences]
    columns = torch.tensor(list((model.tokenizer.base_ids or {}).values()), device=model.device)
    mask = _mask_id(model)
    result = [np.full(len(each), np.nan, dtype=np.float32) for each in sequences]
    by_length: dict[int, list[int]] = {}
    for row, encoding in enumerate(encodings):
        by_length.setdefault(len(encoding.ids), []).append(row)
    with torch.inference_mode():
        for length, rows in by_length.items():
            most = max(
                1,
                min(
                    limits.get("rows", ROWS_A_BATCH), limits.get("tokens", TOKENS_A_BATCH) // length
                ),
            )
            for chunk in _chunked(_places(rows, encodings, sequences), most):
                numbers, tokens, starts, bases = (list(each) for each in zip(*chunk, strict=True))
                ids = torch.tensor([encodings[row].ids for row in numbers])
                place = torch.tensor(tokens)
                ids[torch.arange(len(place)), place] = mask
                values = model.token_logits({"input_ids": ids.to(model.device)})
                four = values[torch.arange(len(place)), place][:, columns].float()
                found = torch.log_softmax(four, dim=1).cpu().numpy()
                for row, start, base, value in zip(numbers, starts, bases, found, strict=True):
                    result[row][start] = value[base]
    return result


def _places(
    rows: Iterable[int], encodings: Sequence[Encoding], sequences: Sequence[str]
) -> Iterator[tuple[int, int, int, int]]:
    """(sequence, token, position, base) of every base that is one of the four."""
    for row in rows:
        text = sequences[row]
        for token, (start, end) in enumerate(encodings[row].offsets):
            base = BASES.find(text[start:end]) if end == start + 1 else -1
            if base >= 0:
                yield row, token, start, base


def _chunked(items: Iterator[Any], most: int) -> Iterator[list[Any]]:
    while chunk := list(islice(items, most)):
        yield chunk


def masked(model: Model, sequence: str, limits: dict[str, int]) -> Any:
    """The same where a base stands in longer tokens, or several."""
    import numpy as np

    positions = [at for at, base in enumerate(sequence) if base in BASES]
    per_base = np.full(len(sequence), np.nan, dtype=np.float32)
    table = base_log_probabilities(model, [(sequence, at) for at in positions], **limits)
    if table is None:
        return _token_wise(model, sequence, limits)
    for at, row in zip(positions, table, strict=True):
        per_base[at] = row[BASES.index(sequence[at])]
    return per_base


@dataclass(frozen=True, slots=True)
class _Query:
    """One masked copy of one sequence, and what is read from it."""

    ids: list[int]
    readings: list[tuple[int, int, list[int]]]  # (which question, token index, four ids)


def base_log_probabilities(
    model: Model, questions: Sequence[tuple[str, int]], **limits: int
) -> NDArray[np.float32] | None:
    """Log P(A, C, G, T at a position | the rest of its sequence), (questions, 4) float32, nats.

    ``questions``: (sequence, 0-based position). Positions that the same masked tokens answer share
    one forward. None where the tokenizer's tokens do not single bases out (byte-pair).
    """
    import numpy as np
    import torch

    require(model, PredictsBases, "has no head that predicts tokens", "masked-prediction")
    assert isinstance(model, PredictsBases)
    found = _queries(model, questions)
    if found is None:
        return None
    result = np.full((len(questions), 4), np.nan, dtype=np.float32)
    with torch.inference_mode():
        for queries in _grouped(found, **limits):
            inputs = collate(model, [each.ids for each in queries])
            values = model.token_logits(inputs)
            read = [
                (row, number, token, four)
                for row, query in enumerate(queries)
                for number, token, four in query.readings
            ]
            rows, numbers, tokens, fours = zip(*read, strict=True)
            chosen = values[torch.tensor(rows), torch.tensor(tokens)].float()
            four = torch.tensor(fours, device=chosen.device)
            found_here = torch.log_softmax(chosen.gather(1, four), dim=1)
            result[list(numbers)] = found_here.cpu().numpy()
    return result


def _queries(model: Model, questions: Sequence[tuple[str, int]]) -> list[_Query] | None:
    encodings: dict[str, Encoding] = {}
    shared: dict[tuple[str, tuple[int, ...]], list[tuple[int, int, list[int]]]] = {}
    mask = _mask_id(model)
    for number, (sequence, position) in enumerate(questions):
        if sequence not in encodings:
            (encodings[sequence],) = encode(model, [sequence])
        covering = _covering(encodings[sequence], position)
        if not covering:
            return None
        reading = _reading(model.tokenizer, encodings[sequence], sequence, position, covering)
        if reading is None:
            return None
        shared.setdefault((sequence, covering), []).append((number, *reading))
    queries = []
    for (sequence, covering), readings in shared.items():
        ids = list(encodings[sequence].ids)
        for token in covering:
            ids[token] = mask
        queries.append(_Query(ids, readings))
    return queries


def _mask_id(model: Model) -> int:
    found = model.tokenizer.mask_id
    if found is None:
        raise CapabilityError(f"{model.manifest.id} has no mask token to predict bases with.")
    return found


def _covering(encoding: Encoding, position: int) -> tuple[int, ...]:
    return tuple(
        index for index, (start, end) in enumerate(encoding.offsets) if start <= position < end
    )


def _reading(
    tokenizer: Tokenizer,
    encoding: Encoding,
    sequence: str,
    position: int,
    covering: Iterable[int],
) -> tuple[int, list[int]] | None:
    """The covering token in which the base stands nearest to the middle, and its four spellings."""

    def off_centre(index: int) -> float:
        start, end = encoding.offsets[index]
        return abs((start + end - 1) / 2 - position)

    for index in sorted(covering, key=lambda each: (off_centre(each), each)):
        start, end = encoding.offsets[index]
        four = []
        for base in BASES:
            letters = sequence[start:position] + base + sequence[position + 1 : end]
            ids = tokenizer.encode(letters, special_tokens=False).ids
            if len(ids) != 1 or ids[0] == tokenizer.unknown_id or ids[0] in four:
                break
            four.append(ids[0])
        if len(four) == 4:
            return index, four
    return None


def _grouped(
    queries: list[_Query], *, tokens: int = TOKENS_A_BATCH, rows: int = ROWS_A_BATCH
) -> Iterator[list[_Query]]:
    by_length: dict[int, list[_Query]] = {}
    for query in queries:
        by_length.setdefault(len(query.ids), []).append(query)
    for length, group in by_length.items():
        most = max(1, min(rows, tokens // length))
        for at in range(0, len(group), most):
            yield group[at : at + most]


def _token_wise(model: Model, sequence: str, limits: dict[str, int]) -> Any:
    """Each token masked alone; its log-probability shared equally by its bases."""
    import numpy as np
    import torch

    assert isinstance(model, PredictsBases)
    (encoding,) = encode(model, [sequence])
    mask = _mask_id(model)
    queries = []
    for index, (start, end) in enumerate(encoding.offsets):
        if end > start:
            ids = list(encoding.ids)
            ids[index] = mask
            queries.append(_Query(ids, [(index, index, [])]))
    per_base = np.full(len(sequence), np.nan, dtype=np.float32)
    with torch.inference_mode():
        for group in _grouped(queries, **limits):
            values = model.token_logits(collate(model, [each.ids for each in group]))
            for row, query in enumerate(group):
                index = query.readings[0][1]
                target = torch.tensor([encoding.ids[index]], device=values.device)
                value = float(log_probability(values[row, index : index + 1], target)[0])
                start, end = encoding.offsets[index]
                per_base[start:end] = value / (end - start)
    return known_only(per_base, sequence)


def log_probability(rows: Tensor, targets: Tensor) -> Tensor:
    """Log softmax of (tokens, vocabulary) at the targets, without the full table in float32."""
    import torch

    if rows.shape[0] == 0:
        return rows.new_zeros(0, dtype=torch.float32)
    pieces = [
        part.float().gather(1, ids[:, None])[:, 0] - torch.logsumexp(part.float(), dim=1)
        for part, ids in zip(rows.split(4096), targets.split(4096), strict=True)
    ]
    return torch.cat(pieces)


def known_only(per_base: Any, sequence: str) -> Any:
    """NaN put where the sequence has no base."""
    import numpy as np

    known = np.frombuffer(sequence.encode(), dtype=np.uint8)
    per_base[~np.isin(known, np.frombuffer(BASES.encode(), dtype=np.uint8))] = np.nan
    return per_base
