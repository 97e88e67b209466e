"""Text with a model's own tags among the bases."""

from __future__ import annotations

from dnallm_core.models.prompts import letters_of, normalised_text
from dnallm_core.sequences.tokenizers import build_tokenizer

TAGGED = build_tokenizer(
    {"kind": "tagged-kmer", "k": 2, "vocabulary": ["<0>", "<R>", "<P>", "ACGT^2"],
     "unknown": "<0>", "pad": "<P>", "special": ["<R>"]}
)  # fmt: skip


def test_tags_stay_and_bases_are_normalised():
    assert normalised_text(TAGGED, "<R>acgu") == "<R>ACGT"


def test_what_offsets_count_are_the_bases_alone():
    text = "<R>ACGT"
    assert letters_of(TAGGED, text) == "ACGT"
    assert TAGGED.encode(text).offsets[-1] == (2, 4)
