"""The decoder of BERT's masked-language head, tied to the word embeddings."""

from __future__ import annotations

from typing import Any, ClassVar


class TiedDecoder:
    """Where a network of BERT's layout (``bert``, ``cls``) keeps its decoder, and what it shares."""

    cls: Any
    _tied_weights_keys: ClassVar[dict[str, str]] = {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def get_output_embeddings(self) -> Any:
        """The decoder, which shares its weight with the word embeddings."""
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        """Replace the decoder."""
        self.cls.predictions.decoder = new_embeddings
        self.cls.predictions.bias = new_embeddings.bias
