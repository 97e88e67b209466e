"""What every tokenizer offers, and the part that all kinds share: special tokens, losses, spelling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from typing_extensions import Unpack

_IUPAC = frozenset("ACGTURYSWKMBDHVNacgturyswkmbdhvn")


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids and, for each, the [start, end) in bp that it stands for (empty for special ones)."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Losses:
    """The parts of one sequence that no token of its own stands for: [start, end) in bp each."""

    length: int
    spans: tuple[tuple[int, int], ...]

    @property
    def bases(self) -> int:
        """How many bases are lost."""
        return sum(end - start for start, end in self.spans)

    def sentence(self, name: str = "the sequence") -> str:
        """What a user is told once, or nothing where no base is lost."""
        if not self.spans:
            return ""
        first, last = self.spans[0][0] + 1, self.spans[0][1]
        where = f"at {first:,}" if first == last else f"at {first:,} to {last:,}"
        more = f" and {len(self.spans) - 1:,} more places" if len(self.spans) > 1 else ""
        return (
            f"This model's tokenizer knows no token for {self.bases:,} of the {self.length:,} "
            f"letters of {name} ({where}{more}): the model sees them as unknown, or not at all."
        )


class Tokenizer(ABC):
    """From a DNA sequence to token ids and back, id for id as the model's authors do it.

    ``vocabulary`` maps tokens to ids; ``special_ids`` are the ids that stand for no base. ``pad_id``,
    ``mask_id`` and ``unknown_id`` are None where the authors have no such token.
    """

    vocabulary: Mapping[str, int]
    pad_id: int | None
    mask_id: int | None
    unknown_id: int | None
    special_ids: frozenset[int]
    vocabulary_size: int
    """Ids run from 0 to ``vocabulary_size`` - 1; a network may have more rows than that."""
    prefix: Sequence[int] = ()
    suffix: Sequence[int] = ()
    lineage: str | None = None
    """How lineage tags are written in prompts, where the model was trained with such."""

    @abstractmethod
    def encode(self, sequence: str, special_tokens: bool = True) -> Encoding:
        """The ids of a sequence, literally as the authors' tokenizer gives them.

        Nothing is upper-cased or replaced unless the authors' tokenizer does so: normalising a
        user's sequence is ``dnallm_core.sequences.alphabet``'s work. Offsets are in bp: tags and
        special tokens that stand in the text take none.
        """

    def one_token_a_letter(self, sequence: str) -> bool:
        """Whether ``encode`` gives each letter of this text its own id, between prefix and suffix.

        Such a text may be encoded piece by piece, so that memory stays that of a piece.
        """
        del sequence
        return False

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The sequence that ids spell, special tokens left out."""

    @abstractmethod
    def spelling(self, token_id: int) -> str:
        """The bases of a token, in upper case where case carries no meaning; "" for special ones."""

    def losses(self, sequence: str) -> Losses:
        """Which bases of a sequence no known token covers."""
        encoding = self.encode(sequence, special_tokens=False)
        known = (
            (start, end)
            for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
            if start < end and not self._is_lost(token, sequence[start:end])
        )
        spans: list[tuple[int, int]] = []
        reached = 0
        for start, end in known:
            if start > reached:
                spans.append((reached, start))
            reached = max(reached, end)
        length = self.length(sequence)
        if reached < length:
            spans.append((reached, length))
        return Losses(length, tuple(spans))

    def length(self, sequence: str) -> int:
        """The letters of a sequence that count as bp: all, but for tags where a kind has them."""
        return len(sequence)

    def covers(self, sequence: str) -> bool:
        """Whether every base of a sequence reaches the model."""
        return not self.losses(sequence).spans

    def _is_lost(self, token: int, letters: str) -> bool:
        return token == self.unknown_id and self.vocabulary.get(letters) != token

    @cached_property
    def base_ids(self) -> Mapping[str, int] | None:
        """A, C, G and T to their ids where every base is one token; None otherwise."""
        probe = "ACGT" * 8
        encoding = self.encode(probe, special_tokens=False)
        if encoding.offsets != [(at, at + 1) for at in range(len(probe))]:
            return None
        return dict(zip("ACGT", encoding.ids[:4], strict=True))

    @cached_property
    def handling(self) -> Mapping[str, str]:
        """What becomes of ``N``, ``lower case``, ``IUPAC`` letters and a ``tail``, in a word each.

        ``token``: it has tokens of its own; ``unknown``; ``as upper case``; ``whole``: the last bases
        make a token as any others; ``letters``: they become single letters; ``dropped``.
        """
        plain = "ACGTTGCAATGCACGTTGCAATGC"
        ids = self.encode(plain, special_tokens=False).ids
        lower = self.encode(plain.lower(), special_tokens=False).ids
        case = "token" if self.covers(plain.lower()) else "unknown"
        tail = plain + "A"
        last = self.encode(tail, special_tokens=False)
        if not self.covers(tail):
            end = "unknown" if last.offsets[-1][1] == len(tail) else "dropped"
        else:
            end = "letters" if not self.base_ids and last.offsets[-1][0] == len(plain) else "whole"
        return {
            "N": "token" if self.covers("N" * 24) else "unknown",
            "lower case": "as upper case" if lower == ids else case,
            "IUPAC": "token" if self.covers("R" * 24) else "unknown",
            "tail": end,
        }


class Marks(TypedDict, total=False):
    """What a tokenizer with a vocabulary is told about it: tokens by name, and the rule of case.

    ``special``, and what stands before (``prefix``) and behind (``suffix``) a sequence; the tokens
    for ``unknown``, ``pad`` and ``mask``; ``case``: "keep" or "upper".
    """

    special: Iterable[str]
    prefix: Sequence[str]
    suffix: Sequence[str]
    unknown: str | None
    pad: str | None
    mask: str | None
    case: str


class VocabularyTokenizer(Tokenizer):
    """A tokenizer with a vocabulary of named tokens: what character and k-mer kinds share."""

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        **marks: Unpack[Marks],
    ) -> None:
        prefix, suffix = marks.get("prefix", ()), marks.get("suffix", ())
        unknown, pad, mask = marks.get("unknown"), marks.get("pad"), marks.get("mask")
        self.vocabulary = dict(vocabulary)
        self.vocabulary_size = max(self.vocabulary.values(), default=-1) + 1
        self.tokens = {token_id: token for token, token_id in self.vocabulary.items()}
        self.case = marks.get("case", "keep")
        self.unknown_id = self._id(unknown)
        self.pad_id = self._id(pad)
        self.mask_id = self._id(mask)
        self.prefix = [self.vocabulary[token] for token in prefix]
        self.suffix = [self.vocabulary[token] for token in suffix]
        named = {*marks.get("special", ()), *prefix, *suffix, pad, mask}
        if unknown is not None and not (len(unknown) == 1 and unknown.isalpha()):
            named.add(unknown)
        self.special_tokens = frozenset(
            token for token in named if token is not None and token in self.vocabulary
        )
        self.special_ids = frozenset(self.vocabulary[token] for token in self.special_tokens)

    def _id(self, token: str | None) -> int | None:
        return None if token is None else self.vocabulary.get(token)

    @abstractmethod
    def _tokens(self, sequence: str) -> Encoding:
        """The encoding without what is added around a sequence."""

    def encode(self, sequence: str, special_tokens: bool = True) -> Encoding:
        """The ids of a sequence, literally as the authors' tokenizer gives them."""
        inner = self._tokens(sequence)
        if not special_tokens or not (self.prefix or self.suffix):
            return inner
        end = self.length(sequence)
        return Encoding(
            [*self.prefix, *inner.ids, *self.suffix],
            [(0, 0)] * len(self.prefix) + inner.offsets + [(end, end)] * len(self.suffix),
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The sequence that ids spell, special tokens left out."""
        return "".join(self._letters(token_id) for token_id in ids)

    def spelling(self, token_id: int) -> str:
        """The bases of a token; "" for special tokens and for ids that are none."""
        letters = self._letters(token_id)
        return letters if letters and _IUPAC.issuperset(letters) else ""

    def _letters(self, token_id: int) -> str:
        token = "" if token_id in self.special_ids else self.tokens.get(token_id, "")
        return token.upper() if self.case == "lower" else token

    def _cased(self, sequence: str) -> str:
        if self.case == "keep":
            return sequence
        changed = sequence.upper() if self.case == "upper" else sequence.lower()
        # A letter such as "ß" has two capitals; offsets need one letter for one.
        return changed if len(changed) == len(sequence) else sequence
