"""k letters a token: overlapping, or one after another."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .tokenizer import Encoding, Marks, VocabularyTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class OverlappingKmerTokenizer(VocabularyTokenizer):
    """The k-mers that begin at 0, ``stride``, 2 ``stride`` …; what is shorter than k has none.

    ``split_words``: an unknown k-mer with a blank or a punctuation mark in it falls into its words,
    each of them unknown, as BERT's basic tokenizer does it. ``piece``: from so many k-mers on, the
    ids are cut into pieces of that size, each between its own prefix and suffix, and a sequence of
    exactly that size has an empty second piece (DNABERT's rule, with 510).
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        *,
        k: int,
        stride: int = 1,
        split_words: bool = False,
        piece: int | None = None,
        **marks: Unpack[Marks],
    ) -> None:
        super().__init__(vocabulary, **marks)
        self.k = k
        self.stride = stride
        self.split_words = split_words
        self.piece = piece

    def _tokens(self, sequence: str) -> Encoding:
        letters, k, get = self._cased(sequence), self.k, self.vocabulary.get
        starts = range(0, len(letters) - k + 1, self.stride)
        found = [get(letters[at : at + k]) for at in starts]
        if None not in found:
            ids = [each for each in found if each is not None]
            return Encoding(ids, [(at, at + k) for at in starts])
        ids, offsets = [], []
        for at, token in zip(starts, found, strict=True):
            if token is not None:
                ids.append(token)
                offsets.append((at, at + k))
            elif self.unknown_id is not None:
                spans = _words(letters, at, at + k) if self.split_words else [(at, at + k)]
                ids += [self.unknown_id] * len(spans)
                offsets += spans
        return Encoding(ids, offsets)

    def encode(self, sequence: str, special_tokens: bool = True) -> Encoding:
        """The ids of a sequence, literally as the authors' tokenizer gives them."""
        if self.piece is None or not special_tokens:
            return super().encode(sequence, special_tokens)
        inner = self._tokens(sequence)
        if len(inner.ids) < self.piece:
            return super().encode(sequence)
        whole = Encoding([], [])
        for begin in range(0, len(inner.ids) + 1, self.piece):
            offsets = inner.offsets[begin : begin + self.piece]
            first = offsets[0][0] if offsets else len(sequence)
            last = offsets[-1][1] if offsets else len(sequence)
            whole.ids.extend([*self.prefix, *inner.ids[begin : begin + self.piece], *self.suffix])
            whole.offsets.extend([(first, first)] * len(self.prefix))
            whole.offsets.extend(offsets)
            whole.offsets.extend([(last, last)] * len(self.suffix))
        return whole

    def decode(self, ids: Sequence[int]) -> str:
        """The sequence that overlapping k-mers spell; an unknown one gives ``N`` for its new bases."""
        spelt: list[str] = []
        for token_id in ids:
            if token_id in self.special_ids and token_id != self.unknown_id:
                continue
            letters = self._letters(token_id) or "N" * self.k
            spelt.append(letters[-self.stride :] if spelt else letters)
        return "".join(spelt)


class KmerTokenizer(VocabularyTokenizer):
    """From left to right the longest token that fits, mostly a k-mer, else a single letter.

    A run of letters with which no token begins is one unknown token, whatever its length; blanks
    divide such runs and are dropped. So ``N`` and the last ``length mod k`` bases become single
    letters where the vocabulary has them (the rule of transformers' EsmTokenizer).
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        **marks: Unpack[Marks],
    ) -> None:
        super().__init__(vocabulary, **marks)
        lengths: dict[str, set[int]] = {}
        for token in self.vocabulary:
            if token:
                lengths.setdefault(token[0], set()).add(len(token))
        self._lengths = {
            first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()
        }

    def _tokens(self, sequence: str) -> Encoding:
        text = self._cased(sequence)
        get, lengths, none = self.vocabulary.get, self._lengths, ()
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        at = unknown_from = taken = 0  # `taken`: letters of written-out special tokens so far
        while at < len(text):
            for length in lengths.get(text[at], none):
                token = get(text[at : at + length])
                if token is None or at + length > len(text):
                    continue
                if unknown_from < at:
                    self._unknown(text, unknown_from, at, taken, ids, offsets)
                ids.append(token)
                if token in self.special_ids:
                    offsets.append((at - taken, at - taken))
                    taken += length
                else:
                    offsets.append((at - taken, at - taken + length))
                at += length
                unknown_from = at
                break
            else:
                at += 1
        if unknown_from < at:
            self._unknown(text, unknown_from, at, taken, ids, offsets)
        return Encoding(ids, offsets)

    def _unknown(
        self,
        text: str,
        start: int,
        end: int,
        taken: int,
        ids: list[int],
        offsets: list[tuple[int, int]],
    ) -> None:
        if self.unknown_id is None:
            return
        at = start
        for word in text[start:end].split():
            at = text.index(word, at)
            ids.append(self.unknown_id)
            offsets.append((at - taken, at - taken + len(word)))
            at += len(word)

    def length(self, sequence: str) -> int:
        """The letters of a sequence, written-out special tokens not counted."""
        if not any(token in sequence for token in self.special_tokens):
            return len(sequence)
        tokens = self._tokens(sequence)
        return len(sequence) - sum(
            len(self.tokens[each])
            for each, (start, end) in zip(tokens.ids, tokens.offsets, strict=True)
            if start == end
        )


def _words(letters: str, start: int, end: int) -> list[tuple[int, int]]:
    """The [start, end) of the words and of the punctuation marks between two places."""
    spans: list[tuple[int, int]] = []
    begun = start
    for at in range(start, end):
        letter = letters[at]
        if letter.isspace() or _is_punctuation(letter):
            if begun < at:
                spans.append((begun, at))
            if not letter.isspace():
                spans.append((at, at + 1))
            begun = at + 1
    if begun < end:
        spans.append((begun, end))
    return spans


def _is_punctuation(letter: str) -> bool:
    if letter.isascii():
        return letter.isprintable() and not letter.isalnum() and letter != " "
    return unicodedata.category(letter).startswith("P")
