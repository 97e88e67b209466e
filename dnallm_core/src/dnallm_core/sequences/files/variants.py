"""Variants from VCF, BCF, tables, or text such as ``chr1:12345:A:G``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...errors import SequenceError
from .opening import EXTRA, STDIN, Source, opened, reading
from .record import Variant
from .tables import missing_column, rows_of

_LETTERS = frozenset("ACGTN")
_TABLE_NAMES = {
    "chrom": ("chrom", "#chrom", "chromosome", "chr", "contig"),
    "pos": ("pos", "position", "start"),
    "ref": ("ref", "reference", "ref_allele"),
    "alt": ("alt", "alternative", "alternate", "alt_allele"),
    "id": ("id", "name", "rsid", "variant_id"),
}


def read_variants(path: Path | str | BinaryIO) -> Iterator[Variant]:
    """The variants of a file, an alternative allele each, streamed in the file's order.

    VCF (plain, gzip, bgzip), BCF (by pysam, the extra ``files``), a CSV or TSV with the columns
    chrom, pos, ref and alt (and id), or ``chrom:pos:ref:alt`` a line: the content tells. Positions
    are 1-based. Sorted or not is all one. Rows with several alternatives become as many variants.
    Alleles that are no sequence (``<DEL>``, ``*``, breakends, none at all) come out with the reason in
    ``unscorable``: nothing is dropped.

    Raises SequenceError, with the line, for what can't be read.
    """
    with opened(path) as source:
        if source.head.startswith(b"BCF\2"):
            yield from _bcf(source, path)
            return
        source.refuse_binary("variants")
        if source.head.startswith(b">"):
            raise SequenceError(f"{source.name} is FASTA, which holds sequences, not variants.")
        head = source.head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
        first = head.split("\n", 1)[0].strip()
        if first.startswith("#"):
            yield from _vcf(source)
        elif parse_variant(first) is not None:
            yield from _lines(source)
        elif "\t" in first and first.split("\t")[1:2] and first.split("\t")[1].isdigit():
            yield from _vcf(source)  # a VCF whose header was cut off
        else:
            yield from _table(source)


def parse_variant(text: str) -> Variant | None:
    """``chrom:pos:ref:alt`` (or with ``-`` or ``>`` between); None where it is not of that form."""
    parts = text.strip().rsplit(":", 3) if text.count(":") >= 3 else []
    if len(parts) != 4:
        head, _, change = text.strip().rpartition(":")
        ref, mark, alt = change.lstrip("0123456789,").partition(">")
        place = change[: len(change) - len(change.lstrip("0123456789,"))]
        parts = [head, place, ref, alt] if mark and head and ref else []
    if len(parts) != 4:
        return None
    position = parts[1].replace(",", "")
    if not position.isdigit() or not parts[0]:
        return None
    return _variant(parts[0], int(position), parts[2], parts[3], "", 0)


def _variant(chrom: str, pos: int, ref: str, alt: str, name: str, record: int) -> Variant:
    ref, alt = ref.strip().upper(), alt.strip()
    if alt[:1] != "<" and "[" not in alt and "]" not in alt:
        alt = alt.upper()
    return Variant(
        chrom, pos, ref, alt, "" if name == "." else name, _why_unscorable(ref, alt, pos), record
    )


def _why_unscorable(ref: str, alt: str, pos: int) -> str:
    if alt in ("", "."):
        return "it has no alternative allele"
    if alt.startswith("<"):
        return f"the symbolic allele {alt} names no sequence"
    if alt == "*":
        return "the allele * is the gap of a deletion in another record"
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return f"the breakend {alt} joins two places"
    if pos < 1:
        return "position 0 is before the contig's first base"
    for allele, which in ((ref, "reference"), (alt, "alternative")):
        strange = next((each for each in allele if each not in _LETTERS), None)
        if strange is not None:
            return f"the {which} allele has {strange!r}, which is no base"
    return "" if ref else "it has no reference allele"


def _vcf(source: Source) -> Iterator[Variant]:
    record = 0
    with reading(source.name):
        for number, line in enumerate(source.text(), 1):
            if line.startswith("#") or not line.strip():
                continue
            record += 1
            fields = line.rstrip("\r\n").split("\t", 5)
            if len(fields) < 5 or not fields[1].isdigit():
                raise SequenceError(
                    f"{source.name}: line {number:,} is no row of a VCF, whose columns are CHROM, POS, "
                    "ID, REF and ALT, divided by tabs.",
                    record=str(record),
                    position=number,
                )
            for alt in fields[4].split(","):
                yield _variant(fields[0], int(fields[1]), fields[3], alt, fields[2], record)


def _lines(source: Source) -> Iterator[Variant]:
    record = 0
    with reading(source.name):
        for number, line in enumerate(source.text(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            record += 1
            variant = parse_variant(line)
            if variant is None:
                raise SequenceError(
                    f"{source.name}: line {number:,} is {line.strip()[:40]!r}, which is no variant.",
                    record=str(record),
                    position=number,
                    hint="Write chrom:pos:ref:alt, for example chr1:12345:A:G.",
                )
            yield Variant(
                variant.chrom, variant.pos, variant.ref, variant.alt, "", variant.unscorable, record
            )


def _table(source: Source) -> Iterator[Variant]:
    columns: dict[str, str] = {}
    for record, row in enumerate(rows_of(source), 1):
        if not columns:
            columns = _columns(list(row), source.name)
        position = str(row[columns["pos"]]).replace(",", "").strip()
        if not position.isdigit():
            raise SequenceError(
                f"{source.name}: row {record:,} has {position!r} as its position.",
                record=str(record),
            )
        name = str(row[columns["id"]]) if "id" in columns else ""
        for alt in str(row[columns["alt"]]).split(","):
            yield _variant(
                str(row[columns["chrom"]]),
                int(position),
                str(row[columns["ref"]]),
                alt,
                name,
                record,
            )


def _columns(header: list[str], name: str) -> dict[str, str]:
    lowered = {each.lower(): each for each in reversed(header)}
    found = {
        field: next(lowered[each] for each in names if each in lowered)
        for field, names in _TABLE_NAMES.items()
        if any(each in lowered for each in names)
    }
    for field in ("chrom", "pos", "ref", "alt"):
        if field not in found:
            raise missing_column(name, field, header)
    return found


def _bcf(source: Source, path: Path | str | BinaryIO) -> Iterator[Variant]:
    try:
        import pysam
    except ImportError:
        raise SequenceError(
            f"{source.name} is BCF, and what reads it isn't installed.",
            hint=f"Install it: {EXTRA}; or turn it into VCF: `bcftools view`.",
        ) from None
    if not isinstance(path, (str, Path)) or str(path) == STDIN:
        raise SequenceError(f"{source.name} is BCF, which is read from a file only.")
    with reading(source.name), pysam.VariantFile(str(path)) as file:
        for record, row in enumerate(file, 1):
            for alt in row.alts or (".",):
                yield _variant(row.chrom, row.pos, row.ref or "", alt, row.id or ".", record)


def variants_of(texts: Iterable[str]) -> Iterator[Variant]:
    """Variants written ``chrom:pos:ref:alt``; SequenceError for one that is not."""
    for record, text in enumerate(texts, 1):
        variant = parse_variant(text)
        if variant is None:
            raise SequenceError(
                f"{text[:40]!r} is no variant.",
                record=str(record),
                hint="Write chrom:pos:ref:alt, for example chr1:12345:A:G.",
            )
        yield variant
