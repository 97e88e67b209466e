"""DNA letters: which there are, the reverse complement, and how a user's sequence is normalised."""

from __future__ import annotations

from ..errors import SequenceError

BASES = "ACGT"
IUPAC = "ACGTRYSWKMBDHVN"
"""The letters a normalised sequence is made of: the bases and the codes for several of them."""

_LETTERS = (IUPAC + "U" + IUPAC.lower() + "u").encode()
_FORWARD = "ACGTURYSWKMBDHVNacgturyswkmbdhvn-"
_REVERSED = "TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn-"
_COMPLEMENT = bytes.maketrans(_FORWARD.encode(), _REVERSED.encode())
_TO_UPPER = bytes.maketrans(b"uU" + IUPAC.lower().encode(), b"TT" + IUPAC.encode())
_KEEPING_CASE = bytes.maketrans(b"uU", b"tT")


def reverse_complement(sequence: str) -> str:
    """The other strand, read 5' to 3': case is kept, IUPAC codes become their complements, U gives A.

    Raises SequenceError for a letter that has no complement; ``-`` is its own.
    """
    letters = _ascii(sequence, "")
    if letters.translate(None, _FORWARD.encode()):
        raise _unknown_letter(sequence, "", "-")
    return letters.translate(_COMPLEMENT)[::-1].decode("ascii")


def normalised(sequence: str, *, record: str = "", keep_case: bool = False, allow: str = "") -> str:
    """A user's sequence as models take it: upper case, T for U, no blanks at its ends.

    IUPAC codes are kept. Lower case marks repeats in soft-masked genomes and nothing else: it is
    dropped unless ``keep_case``. ``allow`` holds further letters that may stand (``-`` for gaps).

    Raises SequenceError, with the record, the 1-based position and the character, for any other.
    """
    letters = _ascii(sequence.strip(), record)
    if letters.translate(None, _LETTERS + allow.encode()):
        raise _unknown_letter(sequence.strip(), record, allow)
    return letters.translate(_KEEPING_CASE if keep_case else _TO_UPPER).decode("ascii")


def is_plain(letters: bytes) -> bool:
    """Whether bytes are upper-case IUPAC letters alone, so that normalising changes nothing."""
    return not letters.translate(None, IUPAC.encode())


def _ascii(sequence: str, record: str) -> bytes:
    try:
        return sequence.encode("ascii")
    except UnicodeEncodeError:
        raise _unknown_letter(sequence, record, "") from None


def _unknown_letter(sequence: str, record: str, allow: str) -> SequenceError:
    known = set(_LETTERS.decode() + allow)
    at, letter = next((at, each) for at, each in enumerate(sequence) if each not in known)
    where = f"Record {record}" if record else "The sequence"
    others = {each.upper() for each in sequence[:10_000] if each not in known}
    hint = "Letters are A C G T (or U), N and the other IUPAC codes, in either case."
    if others and others <= set("EFILPQZXJO*"):
        hint = "This looks like protein; DNA models take A C G T, N and the other IUPAC codes."
    elif letter == "-":
        hint = "Remove the gaps of the alignment first."
    return SequenceError(
        f"{where} has {letter!r} at position {at + 1:,}, which is no DNA letter.",
        record=record,
        position=at + 1,
        character=letter,
        hint=hint,
    )
