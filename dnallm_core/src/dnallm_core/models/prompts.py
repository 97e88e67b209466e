"""Text that may hold a model's own tags: ``<R>ACGT``, ``[CLS]ACGT``; only its DNA is normalised."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from ..errors import SequenceError
from ..sequences.alphabet import normalised
from .lineage import TAG, lineage_tag

if TYPE_CHECKING:
    from ..sequences.tokenizers import Tokenizer
    from .model import Model

_TAG = re.compile(r"(<[^<>]*>|\[[^\[\]]*\])")


def normalised_text(
    tokenizer: Tokenizer, text: str, *, record: str = "", keep_case: bool = False
) -> str:
    """``text`` with its DNA normalised and the tags that the tokenizer knows as they stand.

    Raises SequenceError for a letter that is no DNA letter, unknown tags included.
    """
    if "<" not in text and "[" not in text:
        return normalised(text, record=record, keep_case=keep_case)
    parts = _TAG.split(text.strip())
    kept = [
        part
        if tokenizer.vocabulary.get(part) in tokenizer.special_ids
        else normalised(part, record=record, keep_case=keep_case)
        for part in parts
    ]
    return "".join(kept)


def letters_of(tokenizer: Tokenizer, text: str) -> str:
    """The bases of a normalised text: what offsets count, its tags left out."""
    return text if tokenizer.length(text) == len(text) else _TAG.sub("", text)


def prompt_ids(model: Model, prompt: str, *, record: str) -> list[int]:
    """The ids that a prompt begins with: what stands before a sequence, and nothing behind it.

    Raises SequenceError where the prompt is empty and the model has no token to begin with, and
    where a part of it has no token of its own: the model would continue what it cannot see.
    """
    tokenizer = model.tokenizer
    text = _prompt_text(model, prompt, record)
    lost = tokenizer.losses(text)
    if lost.spans:
        start, end = lost.spans[0]
        whole = lost.length - lost.bases
        hint = "Leave out what stands there."
        if end == lost.length and whole:
            hint = f"Cut {lost.bases:,} letters off its beginning, so that whole tokens remain."
        raise SequenceError(
            f"{record.capitalize()} does not tokenize: {model.manifest.id} has no token for letters "
            f"{start + 1:,} to {end:,} of its {lost.length:,}.",
            record=record,
            position=start + 1,
            hint=hint,
        )
    encoding = tokenizer.encode(text)
    bare = tokenizer.encode(text, special_tokens=False)
    behind = _behind(encoding.ids, bare.ids)
    ids = encoding.ids[: len(encoding.ids) - behind]
    if not ids:
        raise SequenceError(
            f"{record.capitalize()} is empty, and {model.manifest.id} has no token to begin with.",
            record=record,
            hint="Give it a few bases to continue.",
        )
    return list(ids)


def _prompt_text(model: Model, prompt: str, record: str) -> str:
    """A prompt as its model reads it: lineage tags, and case where it carries meaning, are kept."""
    tokenizer = model.tokenizer
    keep_case = tokenizer.handling["lower case"] == "token"
    parts = TAG.split(prompt.strip()) if tokenizer.lineage else [prompt]
    text = "".join(
        lineage_tag(part, record=record)
        if tokenizer.lineage and TAG.fullmatch(part)
        else normalised_text(tokenizer, part, record=record, keep_case=keep_case)
        for part in parts
        if part
    )
    lower = sum(map(str.islower, text))
    if lower and not model.has_told_of_case:
        model.has_told_of_case = True
        warnings.warn(
            f"{record.capitalize()} has {lower:,} lower-case letters. To {model.manifest.id} they are "
            "other tokens than capitals; they are kept as they stand. (Said once.)",
            stacklevel=5,
        )
    return text


def _behind(ids: list[int], inner: list[int]) -> int:
    """How many tokens the tokenizer puts behind a sequence."""
    added = len(ids) - len(inner)
    for behind in range(added + 1):
        if ids[added - behind : len(ids) - behind] == inner:
            return behind
    return 0
