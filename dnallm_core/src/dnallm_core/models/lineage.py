"""Lineage tags: ``|D__BACTERIA;P__PSEUDOMONADOTA;...|``, by which some models are told an organism.

A manifest says that a tokenizer's model was trained with them (``lineage = "capitals"``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import CapabilityError, SequenceError

if TYPE_CHECKING:
    from .model import Model

RANKS = {
    "d": "domain",
    "p": "phylum",
    "c": "class",
    "o": "order",
    "f": "family",
    "g": "genus",
    "s": "species",
}
TAG = re.compile(r"(\|[^|]*\|)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()'-]*")


def lineage_tag(text: str, *, record: str = "") -> str:
    """``d__Bacteria;p__Pseudomonadota;...``, with or without its bars, as a tag in capitals.

    Ranks stand in order from the domain down and none is left out; the lowest may be missing.
    Raises SequenceError that names the part which is wrong.
    """
    where = f"{record.capitalize()}: the lineage" if record else "The lineage"
    parts = text.strip().strip("|").split(";")
    if len(parts) > len(RANKS):
        raise SequenceError(
            f"{where} has {len(parts)} ranks; there are {len(RANKS)}.", record=record, hint=_HINT
        )
    for part, (letter, rank) in zip(parts, RANKS.items(), strict=False):
        mark, _, name = part.partition("__")
        if mark.lower() != letter:
            raise SequenceError(
                f"{where} has {part!r} where the {rank} stands ({letter}__...).",
                record=record,
                hint=_HINT,
            )
        if not _NAME.fullmatch(name):
            raise SequenceError(f"{where} names no {rank}: {part!r}.", record=record, hint=_HINT)
    return f"|{';'.join(parts)}|".upper()


def tagged(model: Model, lineage: str) -> str:
    """The tag of a lineage, for a model that was trained with such.

    Raises CapabilityError for any other, SequenceError for what is no lineage.
    """
    if model.tokenizer.lineage is None:
        from ..catalog import catalog

        able = [each.id for each in catalog().query(task="generation") if _declares(each.tokenizer)]
        raise CapabilityError(
            f"{model.manifest.id} knows no lineage tags: they would be letters to it.", models=able
        )
    return lineage_tag(lineage)


def _declares(tables: object) -> bool:
    specs = tables if isinstance(tables, tuple) else (tables,)
    return any(isinstance(each, Mapping) and "lineage" in each for each in specs)


_HINT = (
    "Write it as d__Bacteria;p__Pseudomonadota;c__Gammaproteobacteria;o__Enterobacterales;"
    "f__Enterobacteriaceae;g__Escherichia;s__Escherichia coli."
)
