"""Tokenizers: from a DNA sequence to ids and offsets. They are data in a manifest, a table each.

One class per ``kind``; what differs between families is fields (``kinds.py`` lists them all, with
their meaning). ``tokenizer`` in ``dnallm.toml`` is one table, or a list of tables of which the
network's vocabulary size chooses one. A checkpoint's own files (``tokenizer.json``, ``vocab.txt``
in both its forms, ``tokenizer_config.json``, ``special_tokens_map.json``) win over a table's
vocabulary; the table still says the kind, and its fields correct known mistakes of those files.

``character``: a letter is a token. HyenaDNA (its ``-hf`` form; the standalone one adds nothing)::

    { kind = "character", vocabulary = ["[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]",
      "[UNK]", "A", "C", "G", "T", "N"], special = ["[CLS]", "[BOS]"],
      unknown = "[UNK]", pad = "[PAD]", mask = "[MASK]", suffix = ["[SEP]"] }

Caduceus is that with ``case = "upper"``. GPN: ``vocabulary = ["[PAD]", "[MASK]", "[UNK]", "a", "c",
"g", "t"]``, ``case = "lower"``, ``whitespace = "drop"``. PhyloGPN: ``vocabulary = ["A", "C", "G",
"T", "N", "-"], unknown = "N", pad = "-"``.

``byte``: an id is a byte. Evo: ``{ kind = "byte", vocabulary_size = 512, pad = 1, special = [0] }``.

``kmer`` with a ``stride``: a k-mer begins every so many letters, so that they overlap where that is
less than k. DNABERT, one table for each k::

    { kind = "kmer", k = 6, stride = 1, vocabulary_size = 4101,
      vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ATCG^6"],
      unknown = "[UNK]", pad = "[PAD]", mask = "[MASK]", prefix = ["[CLS]"], suffix = ["[SEP]"],
      split_words = true, piece = 510 }

``kmer`` without ``stride``: one after another, single letters where no k-mer fits, and one unknown
token for a run of letters that are none. Nucleotide Transformer v1 (v2 has ``"<eos>", "<bos>"``
before the k-mers, and 4107 rows)::

    { kind = "kmer", k = 6, vocabulary_size = 4105, vocabulary = ["<unk>", "<pad>", "<mask>",
      "<cls>", "ATCG^6", "A", "T", "C", "G", "N", "<eos>", "<bos>"],
      unknown = "<unk>", pad = "<pad>", mask = "<mask>", prefix = ["<cls>"] }

``tagged-kmer``: chunks of k between ``<TAGS>`` in the text. GENERator::

    { kind = "tagged-kmer", k = 6, vocabulary = ["<oov>", "<s>", …, "<sp2>", "ATCG^6"],
      unknown = "<oov>", pad = "<pad>", mask = "<mask>", prefix = ["<s>"] }

``byte-pair``: the checkpoint's own ``tokenizer.json``. DNABERT-2, GROVER::

    { kind = "byte-pair", unknown = "[UNK]", pad = "[PAD]", mask = "[MASK]",
      prefix = ["[CLS]"], suffix = ["[SEP]"] }
"""

from __future__ import annotations

from .factory import build_tokenizer, tokenizer_for
from .tokenizer import Encoding, Losses, Tokenizer
from .undecided import UndecidedTokenizer

__all__ = [
    "Encoding",
    "Losses",
    "Tokenizer",
    "UndecidedTokenizer",
    "build_tokenizer",
    "tokenizer_for",
]
