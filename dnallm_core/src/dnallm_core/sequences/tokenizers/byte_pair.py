"""Learned pieces of several letters (byte-pair encoding), as a ``tokenizer.json`` describes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...errors import CapabilityError, CheckpointError
from .tokenizer import Encoding, VocabularyTokenizer


class BytePairTokenizer(VocabularyTokenizer):
    """Runs a checkpoint's ``tokenizer.json`` with the `tokenizers` library, which transformers brings.

    Without ``prefix`` and ``suffix`` the file's own post-processor says what is put round a sequence;
    with them, they do. ``special`` are tokens that the file may have forgotten to mark as such.

    Raises CheckpointError where the file can't be read, CapabilityError where the library is missing.
    """

    def __init__(
        self,
        file: Path,
        *,
        special: Iterable[str] = (),
        prefix: Sequence[str] | None = None,
        suffix: Sequence[str] | None = None,
        unknown: str | None = None,
        pad: str | None = None,
        mask: str | None = None,
        case: str = "keep",
    ) -> None:
        self.file = file
        self._engine = _read(file)
        named = [
            each
            for each in (unknown, pad, mask, *special, *(prefix or ()), *(suffix or ()))
            if each is not None
        ]
        self._engine.add_special_tokens(
            [each for each in dict.fromkeys(named) if self._engine.token_to_id(each) is not None]
        )
        added = self._engine.get_added_tokens_decoder().values()
        super().__init__(
            self._engine.get_vocab(with_added_tokens=True),
            special={*named, *(each.content for each in added if each.special)},
            prefix=prefix or (),
            suffix=suffix or (),
            unknown=unknown,
            pad=pad,
            mask=mask,
            case=case,
        )
        self._wraps_itself = prefix is None and suffix is None
        if self._wraps_itself:
            around = self._engine.encode("", add_special_tokens=True).ids
            probe = self._engine.encode("A", add_special_tokens=True).ids
            inner = self._engine.encode("A", add_special_tokens=False).ids
            before = next(
                (at for at in range(len(probe)) if probe[at : at + len(inner)] == inner), 0
            )
            self.prefix, self.suffix = around[:before], around[before:]

    def _tokens(self, sequence: str) -> Encoding:
        found = self._engine.encode(self._cased(sequence), add_special_tokens=False)
        ids: list[int] = found.ids
        offsets: list[tuple[int, int]] = found.offsets
        if self.special_ids.isdisjoint(ids) or not any(
            token in sequence for token in self.special_tokens
        ):
            return Encoding(ids, offsets)
        taken = 0
        places: list[tuple[int, int]] = []
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            written = sequence[start:end] if token_id in self.special_ids else ""
            if written and written == self.tokens[token_id]:
                places.append((start - taken, start - taken))
                taken += end - start
            else:
                places.append((start - taken, end - taken))
        return Encoding(ids, places)

    def length(self, sequence: str) -> int:
        """The letters of a sequence, written-out special tokens not counted."""
        for token in self.special_tokens:
            sequence = sequence.replace(token, "")
        return len(sequence)


def _read(file: Path) -> Any:
    try:
        from tokenizers import Tokenizer as Engine
    except ImportError:
        raise CapabilityError(
            "A byte-pair tokenizer needs the `tokenizers` library, which isn't installed.",
            hint='It comes with every model plugin, for example `pip install "dnallm[bert]>=2"`.',
        ) from None
    try:
        engine = Engine.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise CheckpointError(f"{file} cannot be read as a tokenizer: {error}.") from error
    engine.no_truncation()
    engine.no_padding()
    return engine
