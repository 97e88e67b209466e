"""The tokenizer of a checkpoint for which nothing says how its sequences become ids."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import CapabilityError
from .tokenizer import Encoding, Tokenizer


class UndecidedTokenizer(Tokenizer):
    """Raises CapabilityError when used: the network is loaded and runs on ids, text it can't read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.vocabulary = {}
        self.pad_id = None
        self.mask_id = None
        self.unknown_id = None
        self.special_ids = frozenset()
        self.vocabulary_size = 0

    def _refuse(self) -> CapabilityError:
        return CapabilityError(
            f"This checkpoint's tokenizer is not known: {self.reason}.",
            hint="Put the authors' tokenizer files beside the weights; "
            "`model.module` takes ids as it is.",
        )

    def encode(self, sequence: str, special_tokens: bool = True) -> Encoding:
        """Raises CapabilityError."""
        raise self._refuse()

    def decode(self, ids: Sequence[int]) -> str:
        """Raises CapabilityError."""
        raise self._refuse()

    def spelling(self, token_id: int) -> str:
        """Raises CapabilityError."""
        raise self._refuse()
