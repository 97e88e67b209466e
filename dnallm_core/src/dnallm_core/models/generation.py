"""Generation in memory: prompts continued token by token, their past kept as a state.

What comes out for a prompt depends on the prompt, the settings and the seed alone: every row draws
from a random stream of its own, and only prompts of equal length share a batch, so that nothing is
padded. Lengths are in bases: tokens of several bases are drawn whole, and of the last one what
overshoots is cut off its end.
"""

from __future__ import annotations

import random
import secrets
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import RequirementError, SequenceError
from .batching import ROWS_A_BATCH, as_list, require
from .prompts import prompt_ids
from .protocols import CarriesState

if TYPE_CHECKING:
    from torch import Tensor

    from .model import Model

PREFILL_TOKENS = 16_384
"""Tokens, over all rows, that a prompt is read by at a time: bounds the logits that nobody reads."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What a prompt was continued by.

    ``sequence``: the new bases alone. ``log_likelihood``: nats, the sum over the tokens drawn, under
    the model's own distribution (its whole vocabulary, temperature 1), each whole even where its
    last bases were cut off. ``seed``: what repeats it.
    """

    prompt: str
    sequence: str
    log_likelihood: float
    tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Piece:
    """The bases of one token, as they come: of the prompt number ``row``."""

    row: int
    bases: str
    log_likelihood: float


def generate(
    model: Model,
    prompts: str | Sequence[str],
    *,
    max_new_bases: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    alphabet: str | None = "ACGT",
    rows: int = ROWS_A_BATCH,
) -> list[Generated]:
    """Continue prompts by ``max_new_bases`` bases each, in the order given.

    ``temperature``: 0 takes the likeliest token always. ``top_k``: only the k likeliest tokens.
    ``top_p``: only the likeliest tokens that together reach this probability. ``seed``: the same
    gives the same; a prompt given n times gives n different continuations. ``alphabet``: the letters
    that may come out; None allows every token, and a special one then ends the sequence.
    ``rows``: how many prompts at most go through the network together.

    Raises CapabilityError for a model that keeps no state, RequirementError for impossible settings,
    SequenceError for a prompt that does not tokenize and beyond a hard limit of length.
    """
    listed = as_list(prompts)
    seed = secrets.randbits(63) if seed is None else seed
    bases: list[list[str]] = [[] for _ in listed]
    likelihoods = [0.0] * len(listed)
    for piece in stream(
        model,
        listed,
        max_new_bases=max_new_bases,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        alphabet=alphabet,
        rows=rows,
    ):
        bases[piece.row].append(piece.bases)
        likelihoods[piece.row] += piece.log_likelihood
    return [
        Generated(prompt, "".join(pieces), likelihood, len(pieces), seed)
        for prompt, pieces, likelihood in zip(listed, bases, likelihoods, strict=True)
    ]


def stream(
    model: Model,
    prompts: str | Sequence[str],
    *,
    max_new_bases: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    alphabet: str | None = "ACGT",
    rows: int = ROWS_A_BATCH,
) -> Iterator[Piece]:
    """``generate``, token by token as they are drawn; settings and prompts are checked at once."""
    require(model, CarriesState, "keeps no state to continue a sequence from", "generation")
    settings = _Settings(max_new_bases, temperature, top_k, top_p, alphabet)
    if rows < 1:
        raise RequirementError("rows must be at least 1.", requirement="rows")
    seed = secrets.randbits(63) if seed is None else seed
    copies: Counter[str] = Counter()
    ready = []
    for row, prompt in enumerate(as_list(prompts)):
        ids = prompt_ids(model, prompt, record=f"prompt {row + 1}")
        ready.append(_Row(row, ids, random.Random(f"{seed} {copies[prompt]} {prompt}")))
        copies[prompt] += 1
    lexicon = _Lexicon.of(model, alphabet)
    _check_room(model, lexicon, ready, max_new_bases)
    return _drawn(model, lexicon, settings, ready, rows)


# --- settings ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Settings:
    max_new_bases: int
    temperature: float
    top_k: int | None
    top_p: float | None
    alphabet: str | None

    def __post_init__(self) -> None:
        _demand(self.max_new_bases >= 1, "max_new_bases", self.max_new_bases, "at least 1")
        _demand(self.temperature >= 0, "temperature", self.temperature, "0 or more")
        _demand(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "at least 1")
        _demand(
            self.top_p is None or 0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1"
        )
        _demand(self.alphabet != "", "alphabet", self.alphabet, "None, or at least one letter")


def _demand(holds: bool, name: str, value: object, what: str) -> None:
    if not holds:
        raise RequirementError(f"{name} is {value!r}; it must be {what}.", requirement=name)


@dataclass(slots=True)
class _Row:
    """One prompt on its way."""

    number: int
    ids: list[int]
    stream: random.Random
    bases: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """What each token spells, and which tokens may come out."""

    spelling: list[str]
    allowed: list[int]
    longest: int = field(default=1)

    @classmethod
    def of(cls, model: Model, alphabet: str | None) -> _Lexicon:
        tokenizer = model.tokenizer
        spelling = [tokenizer.spelling(each) for each in range(tokenizer.vocabulary_size)]
        if alphabet is None:
            allowed = list(range(len(spelling)))
        else:
            letters = set(alphabet)
            allowed = [i for i, each in enumerate(spelling) if each and letters.issuperset(each)]
        if not allowed:
            raise RequirementError(
                f"{model.manifest.id} has no token made of {alphabet!r} alone.",
                requirement="alphabet",
            )
        return cls(spelling, allowed, max(len(spelling[each]) for each in allowed) or 1)


def _check_room(model: Model, lexicon: _Lexicon, rows: Sequence[_Row], bases: int) -> None:
    """Refuse, or warn of, what cannot fit even if every token drawn were a longest one."""
    if rows:
        longest = max(rows, key=lambda row: len(row.ids))
        least = len(longest.ids) + -(-bases // lexicon.longest) - 1  # the last one is never read
        _check_length(model, longest, least, bases)


def _check_length(model: Model, row: _Row, tokens: int, bases: int) -> None:
    most = model.manifest.max_tokens or model.context_tokens
    limit = model.manifest.length_limit
    if most is None or limit == "none" or tokens <= most:
        return
    sentence = (
        f"Prompt {row.number + 1} and {bases:,} new bases need {tokens:,} tokens or more; "
        f"{model.manifest.id} was made for {most:,}."
    )
    if limit == "hard":
        raise SequenceError(
            sentence,
            record=f"prompt {row.number + 1}",
            hint="Ask for fewer bases, or cut the prompt.",
        )
    warnings.warn(f"{sentence} What lies beyond is extrapolation.", stacklevel=4)


# --- drawing ----------------------------------------------------------------------------------


def _drawn(
    model: Model, lexicon: _Lexicon, settings: _Settings, ready: list[_Row], rows: int
) -> Iterator[Piece]:
    by_length: dict[int, list[_Row]] = {}
    for row in ready:
        by_length.setdefault(len(row.ids), []).append(row)
    for equal in by_length.values():
        for at in range(0, len(equal), rows):
            yield from _continued(model, lexicon, settings, equal[at : at + rows])


def _continued(
    model: Model, lexicon: _Lexicon, settings: _Settings, rows: list[_Row]
) -> Iterator[Piece]:
    import torch

    assert isinstance(model, CarriesState)
    with torch.inference_mode():
        logits, state = _prefilled(model, rows)
        allowed = _mask(lexicon, logits)
    most = model.manifest.max_tokens or model.context_tokens
    while rows:
        with torch.inference_mode():
            plain = torch.log_softmax(logits.float(), dim=-1)  # (rows, vocabulary)
            chances = _chances(plain, allowed, settings).double().cpu()
            drawn = _pick(chances, [row.stream.random() for row in rows])
            known = plain.gather(1, drawn.to(plain.device)[:, None])[:, 0].tolist()
        live, pieces = [], []
        for place, (row, token, likelihood) in enumerate(
            zip(rows, drawn.tolist(), known, strict=True)
        ):
            letters = lexicon.spelling[token]
            row.tokens += 1
            if letters:
                left = settings.max_new_bases - row.bases
                row.bases += len(letters)
                pieces.append(Piece(row.number, letters[:left], likelihood))
            if letters and row.bases < settings.max_new_bases:
                live.append(place)
        yield from pieces
        if not live:
            return
        with torch.inference_mode():
            if len(live) < len(rows):
                rows = [rows[place] for place in live]
                state = model.select_rows(state, torch.tensor(live, device=model.device))
                drawn = drawn[live]
            if most is not None and model.manifest.length_limit == "hard":
                row = rows[0]
                _check_length(model, row, len(row.ids) + row.tokens, settings.max_new_bases)
            step = model.advance(drawn[:, None].to(model.device), state)
            logits, state = step.logits[:, -1], step.state


def _prefilled(model: Any, rows: list[_Row]) -> tuple[Tensor, Any]:
    """Logits after the prompts (rows, vocabulary) and their state; equal prompts are read once."""
    import torch

    place: dict[tuple[int, ...], int] = {}
    for row in rows:
        place.setdefault(tuple(row.ids), len(place))
    ids = torch.tensor(list(place), dtype=torch.long, device=model.device)
    size = max(1, PREFILL_TOKENS // len(place))
    state = None
    for chunk in ids.split(size, dim=1):
        step = model.advance(chunk, state)
        state = step.state
    logits = step.logits[:, -1]
    if len(place) == len(rows):
        return logits, state
    order = torch.tensor([place[tuple(row.ids)] for row in rows], device=model.device)
    return logits[order], model.select_rows(state, order)


def _mask(lexicon: _Lexicon, logits: Tensor) -> Tensor:
    """True (vocabulary,) where a token may come out; rows of padding in the head never do."""
    import torch

    mask = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    mask[torch.tensor(lexicon.allowed, device=logits.device)] = True
    return mask


def _chances(log_probability: Tensor, allowed: Tensor, settings: _Settings) -> Tensor:
    """Unnormalised chances (rows, vocabulary), 0 for what may not come out."""
    import torch

    scores = log_probability.masked_fill(~allowed, float("-inf"))
    if settings.temperature == 0:
        best = scores.argmax(-1, keepdim=True)
        return torch.zeros_like(scores).scatter_(-1, best, 1.0)
    scores = scores / settings.temperature
    if settings.top_k is not None and settings.top_k < scores.shape[-1]:
        keep = scores.topk(settings.top_k, dim=-1).indices  # exactly k, ties broken by place
        kept = torch.full_like(scores, float("-inf"))
        scores = kept.scatter(-1, keep, scores.gather(-1, keep))
    chances = scores.softmax(-1)
    if settings.top_p is not None and settings.top_p < 1:
        ranked, order = chances.sort(dim=-1, descending=True, stable=True)
        before = ranked.cumsum(-1) - ranked  # what likelier tokens hold together
        chances = chances.scatter(-1, order, ranked.masked_fill(before >= settings.top_p, 0.0))
    return chances


def _pick(chances: Tensor, uniform: Sequence[float]) -> Tensor:
    """One token (rows,) a row: where a number in [0, 1) falls among the chances laid end to end."""
    import torch

    edges = chances.cumsum(-1)
    targets = torch.tensor(uniform, dtype=torch.float64)[:, None] * edges[:, -1:]
    found = torch.searchsorted(edges, targets, right=True)[:, 0]  # never a token without a chance
    return torch.where(found < chances.shape[-1], found, chances.argmax(-1))  # rounded to the end
