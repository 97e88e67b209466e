"""Likelihoods in memory, in nats per base, comparable across tokenizers.

Causal models: the log-likelihood of the tokens, each given those before it; the first token counts
where the tokenizer puts a start token before it.

Masked models: the pseudo-log-likelihood (Salazar et al. 2020, eq. 1), taken per base. For base i,
every token that covers it is masked; of the tokens covering it, the one in which i stands nearest
to the middle is read; of the vocabulary, only the four tokens that agree with the sequence in all
other bases they cover are kept, and normalised. So whatever a token's length, the quantity is
log P(base i | all other bases) over A, C, G, T. Where the four are not all tokens of their own
(byte-pair vocabularies), the masked token's log-probability is shared equally by its bases.

Positions that are not A, C, G or T are not scored and not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import CapabilityError, RequirementError
from ..sequences.alphabet import reverse_complement
from .batching import ROWS_A_BATCH, TOKENS_A_BATCH, as_list, batches, collate, encode, require
from .prompts import letters_of, normalised_text
from .protocols import CarriesState, PredictsBases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from ..sequences.tokenizers import Encoding, Tokenizer
    from .model import Model

BASES = "ACGT"
REDUCTIONS = ("mean", "sum", "none")
STREAMED_CHUNK = 16_384  # tokens; longer sequences go through a network that carries state


def logits(
    model: Model, sequences: str | Sequence[str], *, special_tokens: bool = True, **limits: int
) -> list[NDArray[np.float32]]:
    """Logits (tokens, vocabulary) float32, one array a sequence."""
    require(model, PredictsBases, "has no head that predicts tokens", "scoring")
    encodings = encode(model, as_list(sequences), special_tokens=special_tokens)
    return logits_of(model, encodings, **limits)


def logits_of(
    model: Model, encodings: Sequence[Encoding], **limits: int
) -> list[NDArray[np.float32]]:
    """Logits (tokens, vocabulary) of what is encoded already."""
    import torch

    assert isinstance(model, PredictsBases)
    result: list[Any] = [None] * len(encodings)
    with torch.inference_mode():
        for batch in batches(model, encodings, **limits):
            values = model.token_logits(batch.inputs).float().cpu()
            for place, row in enumerate(batch.rows):
                result[row] = values[place, : len(batch.encodings[place].ids)].numpy()
    return result


def score(
    model: Model,
    sequences: str | Sequence[str],
    *,
    reduce: str = "mean",
    both_strands: bool = False,
    **limits: int,
) -> NDArray[np.float64] | list[NDArray[np.float32]]:
    """Log-likelihood (causal) or pseudo-log-likelihood (masked) of sequences, in nats.

    ``reduce``: ``mean`` per scored base, ``sum``, or ``none``: an array (bp,) a sequence, NaN where
    a base is not scored. Mean and sum are float64. ``both_strands``: the mean over both strands.
    """
    import numpy as np

    if reduce not in REDUCTIONS:
        raise RequirementError(
            f"There is no reduction {reduce!r}.",
            requirement="reduce",
            hint=f"One of {', '.join(REDUCTIONS)}.",
        )
    require(model, PredictsBases, "has no head that predicts tokens", "scoring")
    listed = [normalised_text(model.tokenizer, each) for each in as_list(sequences)]
    per_base = _per_base(model, listed, limits)
    if both_strands:
        other = _per_base(model, [reverse_complement(each) for each in listed], limits)
        per_base = [
            np.nanmean([a, b[::-1]], axis=0) if np.isfinite(a).any() else a
            for a, b in zip(per_base, other, strict=True)
        ]
    if reduce == "none":
        return per_base
    # float64: variant effects are differences of sums over many bases
    summarise = np.nanmean if reduce == "mean" else np.nansum
    return np.array(
        [
            summarise(each.astype(np.float64)) if np.isfinite(each).any() else np.nan
            for each in per_base
        ]
    )


def _per_base(model: Model, sequences: list[str], limits: dict[str, int]) -> list[Any]:
    if model.manifest.direction == "causal":
        return list(_causal(model, sequences, limits))
    return [_masked(model, each, limits) for each in sequences]


def _causal(model: Model, sequences: list[str], limits: dict[str, int]) -> Iterator[Any]:
    import numpy as np
    import torch

    assert isinstance(model, PredictsBases)
    encodings = encode(model, sequences)
    long = [
        row
        for row, encoding in enumerate(encodings)
        if isinstance(model, CarriesState) and len(encoding.ids) > STREAMED_CHUNK
    ]
    short = sorted(set(range(len(encodings))) - set(long))
    taken: dict[int, Any] = {row: _streamed(model, encodings[row].ids) for row in long}
    with torch.inference_mode():
        for batch in batches(model, [encodings[row] for row in short], **limits):
            values = model.token_logits(batch.inputs)
            for place, row in enumerate(batch.rows):
                count = len(batch.encodings[place].ids)
                targets = batch.inputs["input_ids"][place, 1:count]
                found = _log_probability(values[place, : count - 1], targets)
                taken[short[row]] = found.cpu().numpy()
    for row, encoding in enumerate(encodings):
        letters = letters_of(model.tokenizer, sequences[row])
        per_base = np.full(len(letters), np.nan, dtype=np.float32)
        starts, ends = np.array(encoding.offsets[1:], dtype=np.int64).reshape(-1, 2).T
        single = ends - starts == 1
        per_base[starts[single]] = taken[row][single]
        for at in np.flatnonzero(ends - starts > 1):
            per_base[starts[at] : ends[at]] = taken[row][at] / (ends[at] - starts[at])
        yield _known_only(per_base, letters)


def _streamed(model: Any, ids: list[int]) -> Any:
    """Log P of ids[1:], the network's state carried from chunk to chunk: memory stays flat."""
    import numpy as np
    import torch

    state, before, parts = None, None, []
    with torch.inference_mode():
        for at in range(0, len(ids), STREAMED_CHUNK):
            chunk = torch.tensor([ids[at : at + STREAMED_CHUNK]], device=model.device)
            values, state = model.advance(chunk, state)
            rows = values[0] if before is None else torch.cat([before, values[0]])
            targets = chunk[0] if before is not None else chunk[0, 1:]
            parts.append(_log_probability(rows[:-1], targets).cpu().numpy())
            before = rows[-1:].clone()
    return np.concatenate(parts)


def _log_probability(rows: Tensor, targets: Tensor) -> Tensor:
    """Log softmax of (tokens, vocabulary) at the targets, without the full table in float32."""
    import torch

    if rows.shape[0] == 0:
        return rows.new_zeros(0, dtype=torch.float32)
    pieces = [
        part.float().gather(1, ids[:, None])[:, 0] - torch.logsumexp(part.float(), dim=1)
        for part, ids in zip(rows.split(4096), targets.split(4096), strict=True)
    ]
    return torch.cat(pieces)


def _known_only(per_base: Any, sequence: str) -> Any:
    import numpy as np

    known = np.frombuffer(sequence.encode(), dtype=np.uint8)
    per_base[~np.isin(known, np.frombuffer(BASES.encode(), dtype=np.uint8))] = np.nan
    return per_base


def _masked(model: Model, sequence: str, limits: dict[str, int]) -> Any:
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
            for row, query in enumerate(queries):
                for number, token, four in query.readings:
                    chosen = values[row, token, four].float()
                    result[number] = torch.log_softmax(chosen, dim=0).cpu().numpy()
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
                value = float(_log_probability(values[row, index : index + 1], target)[0])
                start, end = encoding.offsets[index]
                per_base[start:end] = value / (end - start)
    return _known_only(per_base, sequence)
