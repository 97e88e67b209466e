"""What a family's example configuration takes from its manifest: the smallest declared vocabulary."""

from __future__ import annotations

from ..manifest.model import ModelManifest


def example_vocabulary(facts: ModelManifest, otherwise: int = 64) -> int:
    """Rows that the smallest declared tokenizer needs; ``otherwise`` where files would be needed."""
    from ..sequences.tokenizers.factory import build_tokenizer
    from ..sequences.tokenizers.undecided import UndecidedTokenizer

    tables = facts.tokenizer if isinstance(facts.tokenizer, tuple) else (facts.tokenizer,)
    tokenizers = [build_tokenizer(table) for table in tables]
    sizes = [
        each.vocabulary_size for each in tokenizers if not isinstance(each, UndecidedTokenizer)
    ]
    return min(sizes, default=otherwise)
