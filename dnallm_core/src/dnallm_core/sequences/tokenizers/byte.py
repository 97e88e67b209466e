"""One token a byte: an id is the value of a UTF-8 byte."""

from __future__ import annotations

from collections.abc import Sequence

from .tokenizer import Encoding, Losses, Tokenizer

_LETTERS = frozenset("ACGTURYSWKMBDHVNacgturyswkmbdhvn")


class ByteTokenizer(Tokenizer):
    """Ids 0 to 255 are bytes; ``pad`` and ``special`` name the ids that stand for no base.

    A lower-case letter is another byte, so another token than its capital.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int = 512,
        pad: int | None = None,
        special: Sequence[int] = (),
        prefix: Sequence[int] = (),
        suffix: Sequence[int] = (),
        lineage: str | None = None,
    ) -> None:
        self.lineage = lineage
        self.vocabulary = {chr(value): value for value in range(256)}
        self.vocabulary_size = vocabulary_size
        self.pad_id = pad
        self.mask_id = None
        self.unknown_id = None
        self.prefix = list(prefix)
        self.suffix = list(suffix)
        self.special_ids = frozenset([*special, *prefix, *suffix, *([] if pad is None else [pad])])

    def encode(self, sequence: str, special_tokens: bool = True) -> Encoding:
        """The bytes of a sequence; a letter of two bytes has two tokens with its one place."""
        ids = list(sequence.encode("utf-8"))
        end = len(sequence)
        if len(ids) == end:
            offsets = list(zip(range(end), range(1, end + 1), strict=True))
        else:
            offsets = [
                (at, at + 1) for at, letter in enumerate(sequence) for _ in letter.encode("utf-8")
            ]
        if not special_tokens:
            return Encoding(ids, offsets)
        return Encoding(
            [*self.prefix, *ids, *self.suffix],
            [(0, 0)] * len(self.prefix) + offsets + [(end, end)] * len(self.suffix),
        )

    def one_token_a_letter(self, sequence: str) -> bool:
        """Whether every letter is one byte."""
        return sequence.isascii()

    def decode(self, ids: Sequence[int]) -> str:
        """The text that bytes spell; ids that are no byte of text are left out."""
        spelt = bytes(each for each in ids if each < 256 and each not in self.special_ids)
        return spelt.decode("utf-8", errors="replace")

    def spelling(self, token_id: int) -> str:
        """The base that a byte is, in the case in which it is written; "" for other bytes."""
        letter = chr(token_id) if 0 <= token_id < 128 else ""
        return letter if letter in _LETTERS else ""

    def losses(self, sequence: str) -> Losses:
        """Nothing is lost: every byte is a token."""
        return Losses(len(sequence), ())
