"""Vocabularies: written compactly in a manifest, or read from the files of a checkpoint's folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ...errors import CheckpointError

_ALL_KMERS = re.compile(r"([A-Za-z]+)\^([1-9])")


def expanded(entries: Sequence[str] | Mapping[str, int]) -> dict[str, int]:
    """Token to id. In a list ids count up, and ``ATCG^6`` stands for all 6-mers.

    The k-mers come in product order: the first letter of the alphabet first, the last place running
    fastest (``AAAAAA``, ``AAAAAT``, ``AAAAAC`` …). A table is taken as it stands.
    """
    if isinstance(entries, Mapping):
        return dict(entries)
    return {token: token_id for token_id, token in enumerate(_each(entries))}


def _each(entries: Sequence[str]) -> Iterator[str]:
    for entry in entries:
        every = _ALL_KMERS.fullmatch(entry)
        if every is None:
            yield entry
        else:
            yield from map("".join, product(every[1], repeat=int(every[2])))


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """What a checkpoint's folder itself says of its tokenizer.

    ``names`` are the special tokens by role (``pad``, ``mask``, ``unknown``), ``special`` all that
    the files call special, ``prefix`` and ``suffix`` what a post-processor puts round a sequence
    (None where the files don't say).
    """

    source: Path
    vocabulary: Mapping[str, int]
    names: Mapping[str, str]
    special: frozenset[str]
    prefix: tuple[str, ...] | None
    suffix: tuple[str, ...] | None


def read_files(folder: Path, file: str | None = None) -> TokenizerFiles | None:
    """The tokenizer files of a folder; None where it has no vocabulary of its own.

    ``file`` names the one in force; without it ``tokenizer.json``, else ``vocab.txt``. Raises
    CheckpointError where a file can't be read.
    """
    for name in (file,) if file else ("tokenizer.json", "vocab.txt"):
        source = folder / name
        if source.is_file():
            break
    else:
        return None
    names, special = _named_tokens(folder)
    prefix: tuple[str, ...] | None = None
    suffix: tuple[str, ...] | None = None
    if source.suffix == ".json":
        content = _json(source)
        model = content.get("model") or {}
        vocabulary = _model_vocabulary(model, source)
        for added in content.get("added_tokens") or ():
            vocabulary[added["content"]] = added["id"]
            if added.get("special"):
                special.add(added["content"])
        if isinstance(model.get("unk_token"), str):
            names.setdefault("unknown", model["unk_token"])
        prefix, suffix = _around(content.get("post_processor"))
    else:
        vocabulary = _lines(source)
    return TokenizerFiles(source, vocabulary, names, frozenset(special), prefix, suffix)


def _lines(source: Path) -> dict[str, int]:
    """``vocab.txt``: a token a line, or (GENERator) a token and its id a line."""
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{source} cannot be read as a vocabulary: {error}.") from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise CheckpointError(f"{source} is empty: a vocabulary has a token a line.")
    pairs = [line.split() for line in lines]
    if all(len(pair) == 2 and pair[1].isdigit() for pair in pairs):
        return {token: int(token_id) for token, token_id in pairs}
    return {token: token_id for token_id, token in enumerate(lines)}


def _model_vocabulary(model: Mapping[str, Any], source: Path) -> dict[str, int]:
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, Mapping):
        return dict(vocabulary)
    if isinstance(vocabulary, list):  # unigram models: [token, score] pairs
        return {pair[0]: token_id for token_id, pair in enumerate(vocabulary)}
    raise CheckpointError(f"{source} holds no vocabulary.")


def _named_tokens(folder: Path) -> tuple[dict[str, str], set[str]]:
    """Special tokens by role, and all of them, from the two files that transformers writes."""
    names: dict[str, str] = {}
    special: set[str] = set()
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        content = _json(path)
        for role in ("unk", "pad", "mask", "cls", "sep", "bos", "eos"):
            token = content.get(f"{role}_token")
            token = token.get("content") if isinstance(token, Mapping) else token
            if isinstance(token, str):
                names.setdefault("unknown" if role == "unk" else role, token)
                special.add(token)
        for added in (content.get("added_tokens_decoder") or {}).values():
            if added.get("special"):
                special.add(added["content"])
    return names, special


def _around(processor: Any) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """What a post-processor of `tokenizers` puts before and after a single sequence."""
    if not isinstance(processor, Mapping):
        return None, None
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        return (processor["cls"][0],), (processor["sep"][0],)
    if processor.get("type") != "TemplateProcessing":
        return None, None
    prefix: list[str] = []
    suffix: list[str] = []
    side = prefix
    for piece in processor.get("single") or ():
        if "Sequence" in piece:
            side = suffix
        else:
            side.append(piece["SpecialToken"]["id"])
    return tuple(prefix), tuple(suffix)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no table.")
    return content
