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
from typing import TYPE_CHECKING, Any

from ..errors import RequirementError
from ..sequences.alphabet import reverse_complement
from .batching import as_list, batches, check_length, encode, require, tell_of_losses
from .masked_likelihood import known_only, log_probability, masked, masked_singly
from .prompts import letters_of, normalised_text
from .protocols import CarriesState, PredictsBases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..sequences.tokenizers import Encoding
    from .model import Model

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
    if model.tokenizer.base_ids is not None:
        return masked_singly(model, sequences, limits)
    return [masked(model, each, limits) for each in sequences]


def _causal(model: Model, sequences: list[str], limits: dict[str, int]) -> Iterator[Any]:
    import numpy as np
    import torch

    assert isinstance(model, PredictsBases)
    carries = isinstance(model, CarriesState)
    taken: dict[int, Any] = {}
    read: dict[int, Any] = {}
    encodings: dict[int, Encoding] = {}
    for row, text in enumerate(sequences):
        if carries and len(text) > STREAMED_CHUNK and model.tokenizer.one_token_a_letter(text):
            read[row] = _streamed_letters(model, text, f"sequence {row + 1}")
            continue
        (encodings[row],) = encode(model, [text], names=[f"sequence {row + 1}"], streamed=carries)
        if carries and len(encodings[row].ids) > STREAMED_CHUNK:
            ids = encodings[row].ids
            chunks = (ids[at : at + STREAMED_CHUNK] for at in range(0, len(ids), STREAMED_CHUNK))
            taken[row] = np.concatenate(list(_streamed(model, chunks)))
    short = sorted(encodings.keys() - taken.keys())
    with torch.inference_mode():
        for batch in batches(model, [encodings[row] for row in short], **limits):
            values = model.token_logits(batch.inputs)
            for place, row in enumerate(batch.rows):
                count = len(batch.encodings[place].ids)
                targets = batch.inputs["input_ids"][place, 1:count]
                found = log_probability(values[place, : count - 1], targets)
                taken[short[row]] = found.cpu().numpy()
    for row, text in enumerate(sequences):
        letters = letters_of(model.tokenizer, text)
        if row in read:
            yield known_only(read.pop(row), letters)
            continue
        per_base = np.full(len(letters), np.nan, dtype=np.float32)
        starts, ends = np.array(encodings[row].offsets[1:], dtype=np.int64).reshape(-1, 2).T
        single = ends - starts == 1
        per_base[starts[single]] = taken[row][single]
        for at in np.flatnonzero(ends - starts > 1):
            per_base[starts[at] : ends[at]] = taken[row][at] / (ends[at] - starts[at])
        yield known_only(per_base, letters)


def _streamed_letters(model: Model, text: str, record: str) -> Any:
    """Log P of each letter of a long text, which is never encoded as a whole."""
    import numpy as np

    tokenizer = model.tokenizer
    added = len(tokenizer.prefix) + len(tokenizer.suffix)
    check_length(model, len(text), len(text) + added, record)
    tell_of_losses(model, text, record)

    def chunks() -> Iterator[list[int]]:
        for at in range(0, len(text), STREAMED_CHUNK):
            ids = tokenizer.encode(text[at : at + STREAMED_CHUNK], special_tokens=False).ids
            yield ids if at else [*tokenizer.prefix, *ids]

    per_base = np.full(len(text), np.nan, dtype=np.float32)
    at = 1 - len(tokenizer.prefix)  # the letter of the first answer: nothing is known of token 0
    for found in _streamed(model, chunks()):
        answers = found[max(0, -at) :]
        at = max(0, at)
        per_base[at : at + len(answers)] = answers
        at += len(answers)
    return per_base


def _streamed(model: Any, chunks: Iterable[list[int]]) -> Iterator[Any]:
    """Log P of each chunk's ids, the first of all left out, the network's state carried along."""
    import torch

    state, before = None, None
    for ids in chunks:
        with torch.inference_mode():
            chunk = torch.tensor([ids], device=model.device)
            values, state = model.advance(chunk, state)
            rows = values[0] if before is None else torch.cat([before, values[0]])
            targets = chunk[0] if before is not None else chunk[0, 1:]
            before = rows[-1:].clone()
            yield log_probability(rows[:-1], targets).cpu().numpy()
