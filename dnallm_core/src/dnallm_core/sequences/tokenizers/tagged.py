"""Text of k-mers and tags: ``<R>ACGTAC…<=><R>``, as generative models over several tasks read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .tokenizer import Encoding, Marks, VocabularyTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

_BRACKETS = re.compile("[<>]")


class TaggedKmerTokenizer(VocabularyTokenizer):
    """The text is cut at ``<`` and ``>``; a part that is a tag's name is the tag, any other is sequence.

    Sequence is cut into chunks of k from its left; a chunk that is no token (a short tail where the
    vocabulary has only k-mers, a lower-case or IUPAC letter) is unknown. Every token of the
    vocabulary in angle brackets is special. Tags take no bp.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        *,
        k: int,
        **marks: Unpack[Marks],
    ) -> None:
        self.tags = frozenset(
            token for token in vocabulary if token.startswith("<") and token.endswith(">")
        )
        marks["special"] = {*marks.get("special", ()), *self.tags}
        super().__init__(vocabulary, **marks)
        self.k = k

    def _tokens(self, sequence: str) -> Encoding:
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        at, k = 0, self.k
        for part in _BRACKETS.split(sequence):
            tag = f"<{part}>"
            if not part:
                continue
            if tag in self.tags:
                ids.append(self.vocabulary[tag])
                offsets.append((at, at))
                continue
            letters = self._cased(part)
            for begin in range(0, len(letters), k):
                chunk = letters[begin : begin + k]
                token = self.vocabulary.get(chunk, self.unknown_id)
                if token is not None:
                    ids.append(token)
                    offsets.append((at + begin, at + begin + len(chunk)))
            at += len(letters)
        return Encoding(ids, offsets)

    def length(self, sequence: str) -> int:
        """The letters of a text that are no tags."""
        if "<" not in sequence and ">" not in sequence:
            return 0 if f"<{sequence}>" in self.tags else len(sequence)
        parts = _BRACKETS.split(sequence)
        return sum(len(part) for part in parts if f"<{part}>" not in self.tags)
