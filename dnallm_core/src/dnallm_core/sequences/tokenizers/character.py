"""One token a letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .tokenizer import Encoding, Losses, Marks, VocabularyTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class CharacterTokenizer(VocabularyTokenizer):
    """Each letter is a token; special tokens written out in the text (``[MASK]``) are found first.

    ``whitespace`` is "keep" (a blank is a letter like others, mostly an unknown one) or "drop".
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        *,
        whitespace: str = "keep",
        **marks: Unpack[Marks],
    ) -> None:
        super().__init__(vocabulary, **marks)
        self.drops_whitespace = whitespace == "drop"
        written = sorted((each for each in self.special_tokens if len(each) > 1), key=len)
        self._written = re.compile("|".join(map(re.escape, reversed(written)))) if written else None
        self._letter_ids = {
            token: token_id for token, token_id in self.vocabulary.items() if len(token) == 1
        }
        missing = -1 if self.unknown_id is None else self.unknown_id
        ids = [self._letter_ids.get(self._cased(chr(code)), missing) for code in range(128)]
        # Up to a million letters at once: bytes.translate is 20 times faster than a dict.
        self._table = bytes(ids) + bytes(128) if all(0 <= each < 256 for each in ids) else None

    def _tokens(self, sequence: str) -> Encoding:
        if self._written is None or not self._written.search(sequence):
            return self._piece(sequence, 0)
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        at = begun = 0
        for match in self._written.finditer(sequence):
            piece = self._piece(sequence[begun : match.start()], at)
            ids += piece.ids
            offsets += piece.offsets
            at += match.start() - begun
            ids.append(self.vocabulary[match.group()])
            offsets.append((at, at))
            begun = match.end()
        piece = self._piece(sequence[begun:], at)
        return Encoding(ids + piece.ids, offsets + piece.offsets)

    def _piece(self, sequence: str, at: int) -> Encoding:
        end = at + len(sequence)
        places = list(zip(range(at, end), range(at + 1, end + 1), strict=True))
        if self.drops_whitespace and any(map(str.isspace, sequence)):
            kept = [index for index, letter in enumerate(sequence) if not letter.isspace()]
            places = [places[index] for index in kept]
            sequence = "".join(sequence.split())
        if self._table is not None and sequence.isascii():
            return Encoding(list(sequence.encode("ascii").translate(self._table)), places)
        ids = [self._letter_ids.get(letter, self.unknown_id) for letter in self._cased(sequence)]
        if None not in ids:
            return Encoding([each for each in ids if each is not None], places)
        known = [index for index, each in enumerate(ids) if each is not None]
        return Encoding(
            [each for each in ids if each is not None], [places[index] for index in known]
        )

    def one_token_a_letter(self, sequence: str) -> bool:
        """Whether nothing is written out or dropped."""
        if self._written is not None and self._written.search(sequence):
            return False
        if self.unknown_id is None and self.losses(sequence).spans:
            return False
        return not (self.drops_whitespace and any(map(str.isspace, set(sequence))))

    def length(self, sequence: str) -> int:
        """The letters of a sequence, written-out special tokens not counted."""
        return len(self._written.sub("", sequence)) if self._written else len(sequence)

    def losses(self, sequence: str) -> Losses:
        """Which bases are unknown letters."""
        bare = self._written.sub("", sequence) if self._written else sequence
        lost = {each for each in set(bare) if self._cased(each) not in self._letter_ids}
        if not lost:
            return Losses(len(bare), ())
        runs = re.finditer("[" + "".join(map(re.escape, sorted(lost))) + "]+", bare)
        return Losses(len(bare), tuple(each.span() for each in runs))
