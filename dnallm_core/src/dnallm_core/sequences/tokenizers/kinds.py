"""Which fields each kind of tokenizer takes: what the manifest's validation holds a table against.

No pydantic, no kind's code: reading a manifest imports nothing but this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import did_you_mean, nearest


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind: what it holds, whether it must be there, what it means.

    ``type`` is one of "text", "whole number", "yes or no", "tokens" (a list of texts), "ids" (a list
    of whole numbers), "vocabulary" (a list of tokens, or a table token = id). ``words`` are the
    values allowed, where they are few.
    """

    type: str
    meaning: str
    required: bool = False
    words: tuple[str, ...] = ()


_COMMON = {
    "vocabulary_size": Field(
        "whole number",
        "rows of the network's embedding for which this table holds; chooses among several tables",
    ),
}
_FILE = Field(
    "text",
    "the checkpoint's own file that is in force, where it isn't tokenizer.json, else vocab.txt",
)
_TOKENS = {
    "file": _FILE,
    "special": Field("tokens", "tokens that stand for no base, beyond those named below"),
    "prefix": Field("tokens", "put before a sequence"),
    "suffix": Field("tokens", "put after a sequence"),
    "unknown": Field("text", "the token of what has none; may be a letter, as N"),
    "pad": Field("text", "the padding token"),
    "mask": Field("text", "the token that hides a base in masked language modelling"),
    "case": Field("text", "what is done to letters first", words=("keep", "upper", "lower")),
}
_VOCABULARY = {
    "vocabulary": Field(
        "vocabulary",
        "tokens in the order of their ids, ATCG^6 standing for all 6-mers in product order; "
        "or a table token = id. Left out where only the checkpoint's own file holds it",
    )
}

KINDS: Mapping[str, Mapping[str, Field]] = {
    "character": {
        **_COMMON,
        **_VOCABULARY,
        **_TOKENS,
        "whitespace": Field("text", "what is done with blanks", words=("keep", "drop")),
    },
    "byte": {
        **_COMMON,
        "pad": Field("whole number", "the id of padding"),
        "special": Field("ids", "ids that stand for no base"),
        "prefix": Field("ids", "put before a sequence"),
        "suffix": Field("ids", "put after a sequence"),
        "lineage": Field(
            "text",
            "prompts may begin with lineage tags (|D__BACTERIA;P__...|), written in this case",
            words=("capitals",),
        ),
    },
    "kmer": {
        **_COMMON,
        **_VOCABULARY,
        **_TOKENS,
        "k": Field("whole number", "letters a token; taken from the vocabulary where left out"),
        "stride": Field(
            "whole number",
            "letters from one k-mer to the next, k-mers only; left out: one after another, greedily",
        ),
        "split_words": Field(
            "yes or no", "overlapping only: blanks and punctuation divide unknown k-mers (BERT)"
        ),
        "piece": Field("whole number", "overlapping only: ids are cut into pieces of so many"),
    },
    "tagged-kmer": {
        **_COMMON,
        **_VOCABULARY,
        **_TOKENS,
        "k": Field("whole number", "letters a token; taken from the vocabulary where left out"),
    },
    "byte-pair": {**_COMMON, **_TOKENS},
}


_SAID = {
    "text": "a text",
    "whole number": "a whole number",
    "yes or no": "true or false",
    "tokens": "a list of texts",
    "ids": "a list of whole numbers",
    "vocabulary": "a list of texts, or a table token = id",
}


def mistakes(table: Mapping[str, Any]) -> list[str]:
    """What is wrong with a tokenizer's table in a manifest, a sentence each; empty where nothing is."""
    kind = table.get("kind")
    if kind is None:
        return [f"a tokenizer needs a kind: {', '.join(KINDS)}"]
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(nearest(str(kind), KINDS)) or f"The kinds are {', '.join(KINDS)}."
        return [f"no tokenizer kind is called {kind!r}. {hint}"]
    fields = KINDS[kind]
    found = []
    for name, value in table.items():
        if name == "kind":
            continue
        field = fields.get(name)
        if field is None:
            hint = did_you_mean(nearest(name, fields)) or f"It takes {', '.join(fields)}."
            found.append(f"a {kind} tokenizer has no field {name!r}. {hint}")
        elif not _is_a(field.type, value):
            found.append(f"{name} of a {kind} tokenizer must be {_SAID[field.type]}, not {value!r}")
        elif field.words and value not in field.words:
            found.append(f"{name} of a {kind} tokenizer is one of {', '.join(field.words)}")
    found += [
        f"a {kind} tokenizer needs {name}"
        for name, field in fields.items()
        if field.required and name not in table
    ]
    stride, k = table.get("stride"), table.get("k")
    if isinstance(stride, int) and isinstance(k, int) and stride > k:
        found.append(f"stride {stride} of a kmer tokenizer is more than its k, {k}")
    return found


def _is_a(type_: str, value: Any) -> bool:
    if type_ == "text":
        return isinstance(value, str)
    if type_ == "whole number":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if type_ == "yes or no":
        return isinstance(value, bool)
    if type_ == "tokens":
        return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
    if type_ == "ids":
        return isinstance(value, (list, tuple)) and all(
            isinstance(each, int) and not isinstance(each, bool) for each in value
        )
    if isinstance(value, Mapping):
        return all(isinstance(each, int) for each in value.values())
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
