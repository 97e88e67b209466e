"""From a manifest's tables and a checkpoint's files to the tokenizer in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, ManifestError
from .byte import ByteTokenizer
from .byte_pair import BytePairTokenizer
from .character import CharacterTokenizer
from .kinds import mistakes
from .kmer import KmerTokenizer, OverlappingKmerTokenizer
from .tagged import TaggedKmerTokenizer
from .tokenizer import Tokenizer, VocabularyTokenizer
from .undecided import UndecidedTokenizer
from .vocabulary import TokenizerFiles, expanded, read_files

Table = Mapping[str, Any]


def tokenizer_for(
    tables: Table | Sequence[Table],
    *,
    folder: Path | str | None = None,
    vocabulary_size: int | None = None,
) -> Tokenizer:
    """The tokenizer of one checkpoint.

    ``tables``: the manifest's table, or several. ``folder``: the checkpoint; its own files win over
    the manifest's vocabulary, while the manifest says the kind and corrects known mistakes.
    ``vocabulary_size``: rows of the network's embedding. It chooses among several tables; where it
    doesn't, the size of the folder's own vocabulary does; where nothing does, an
    ``UndecidedTokenizer`` comes back, which raises when it is used.

    The same where the manifest's vocabulary doesn't fit the network.

    Raises ManifestError for a table that can't be used, CheckpointError for files that can't be
    read, and for a folder's own vocabulary that doesn't fit the network.
    """
    folder = None if folder is None else Path(folder)
    several = [tables] if isinstance(tables, Mapping) else list(tables)
    found = [mistake for table in several for mistake in mistakes(table)]
    if found or not several:
        raise ManifestError(found or ["a model needs a tokenizer"])
    table = _chosen(several, folder, vocabulary_size)
    if table is None:
        return UndecidedTokenizer(_why(several, vocabulary_size))
    tokenizer = build_tokenizer(table, folder=folder)
    if (
        vocabulary_size is None
        or isinstance(tokenizer, UndecidedTokenizer)
        or _fits(tokenizer, vocabulary_size)
    ):
        return tokenizer
    files = None if folder is None else read_files(folder, table.get("file"))
    if files is None:  # the manifest describes another checkpoint of the family than this one
        return UndecidedTokenizer(
            f"its manifest knows a vocabulary of {tokenizer.vocabulary_size:,} tokens, "
            f"and this network has {vocabulary_size:,}"
        )
    raise CheckpointError(
        f"{files.source} has {tokenizer.vocabulary_size:,} tokens, and the network's embedding "
        f"{vocabulary_size:,} rows: they don't belong together.",
        hint="Check that the tokenizer files in the folder are those of this checkpoint.",
    )


def build_tokenizer(table: Table, *, folder: Path | str | None = None) -> Tokenizer:
    """The tokenizer that one table describes, with the vocabulary of the folder's files if any.

    Raises ManifestError for a table that can't be used, CheckpointError for unreadable files.
    """
    found = mistakes(table)
    if found:
        raise ManifestError(found)
    kind = table["kind"]
    if kind == "byte":
        names = ("vocabulary_size", "pad", "special", "prefix", "suffix", "lineage")
        return ByteTokenizer(**{name: table[name] for name in names if name in table})
    files = None if folder is None else read_files(Path(folder), table.get("file"))
    if kind == "byte-pair":
        return _byte_pair(table, files)
    if files is not None:
        vocabulary = dict(files.vocabulary)
    elif "vocabulary" in table:
        vocabulary = expanded(table["vocabulary"])
    else:
        return UndecidedTokenizer("its folder has no vocabulary file, and its manifest knows none")
    return _of_vocabulary(kind, table, vocabulary, files)


def _of_vocabulary(
    kind: str, table: Table, vocabulary: dict[str, int], files: TokenizerFiles | None
) -> VocabularyTokenizer:
    known = _known(table, vocabulary, files)
    if kind == "character":
        return CharacterTokenizer(vocabulary, whitespace=table.get("whitespace", "keep"), **known)
    if kind == "tagged-kmer":
        return TaggedKmerTokenizer(vocabulary, k=_k(table, vocabulary, files, known), **known)
    k = _k(table, vocabulary, files, known)
    if "stride" not in table:
        return KmerTokenizer(vocabulary, **known)
    return OverlappingKmerTokenizer(
        vocabulary,
        k=k,
        stride=table["stride"],
        split_words=table.get("split_words", False),
        piece=table.get("piece"),
        **known,
    )


def _byte_pair(table: Table, files: TokenizerFiles | None) -> Tokenizer:
    if files is None or files.source.suffix != ".json":
        return UndecidedTokenizer("its folder has no tokenizer.json, which holds its vocabulary")
    known = _known(table, files.vocabulary, files)
    for side in ("prefix", "suffix"):  # the library applies the file's own post-processor
        known[side] = table.get(side)
    if known["prefix"] is not None or known["suffix"] is not None:
        known["prefix"], known["suffix"] = known["prefix"] or (), known["suffix"] or ()
    return BytePairTokenizer(files.source, **known)


def _known(
    table: Table, vocabulary: Mapping[str, int], files: TokenizerFiles | None
) -> dict[str, Any]:
    """Special tokens: the manifest's names where the vocabulary has them, else the files'."""
    known: dict[str, Any] = {"case": table.get("case", "keep")}
    for role in ("unknown", "pad", "mask"):
        candidates = (table.get(role), files.names.get(role) if files else None)
        known[role] = next((each for each in candidates if each in vocabulary), None)
    for side in ("prefix", "suffix"):
        tokens = table.get(side)
        if tokens is None:
            tokens = (getattr(files, side) if files else None) or ()
        absent = [token for token in tokens if token not in vocabulary]
        if absent:
            where = files.source if files else "the manifest"
            raise CheckpointError(
                f"The vocabulary of {where} lacks {', '.join(absent)}, "
                "which this model's tokenizer puts round every sequence."
            )
        known[side] = tuple(tokens)
    known["special"] = {*table.get("special", ()), *(files.special if files else ())}
    return known


def _k(
    table: Table, vocabulary: Mapping[str, int], files: TokenizerFiles | None, known: Table
) -> int:
    """Letters a token: the manifest's k, unless the folder's own vocabulary says otherwise."""
    if files is None and "k" in table:
        return int(table["k"])
    named = {known["unknown"], known["pad"], known["mask"], *known["special"]}
    return max(
        (len(each) for each in vocabulary if each.isalpha() and each not in named), default=1
    )


def _chosen(several: list[Table], folder: Path | None, rows: int | None) -> Table | None:
    if len(several) == 1:
        return several[0]
    sizes = [rows]
    if folder is not None:
        own = read_files(folder)
        sizes.append(None if own is None else len(own.vocabulary))
    for size in sizes:
        fitting = [each for each in several if each.get("vocabulary_size") == size is not None]
        if len(fitting) == 1:
            return fitting[0]
    anywhere = [each for each in several if "vocabulary_size" not in each]
    return anywhere[0] if len(anywhere) == 1 else None


def _why(several: list[Table], rows: int | None) -> str:
    sizes = ", ".join(str(each["vocabulary_size"]) for each in several if "vocabulary_size" in each)
    known = f"its manifest knows vocabularies of {sizes} tokens"
    return known + (f", and this network has {rows:,}" if rows is not None else "")


def _fits(tokenizer: Tokenizer, rows: int) -> bool:
    """Whether a network has a row for every id that a sequence can give, and few that none can."""
    used = {
        token_id
        for token_id in (tokenizer.unknown_id, tokenizer.pad_id, tokenizer.mask_id)
        if token_id is not None
    }
    used.update(getattr(tokenizer, "prefix", ()), getattr(tokenizer, "suffix", ()))
    if isinstance(tokenizer, ByteTokenizer):
        used.add(ord("t"))
    else:
        used.update(each for each in tokenizer.vocabulary.values() if tokenizer.spelling(each))
    # Padded embeddings have up to a fifth more rows (or 127); a wrong vocabulary is off by factors.
    return max(used, default=0) < rows <= 1.25 * tokenizer.vocabulary_size + 128
