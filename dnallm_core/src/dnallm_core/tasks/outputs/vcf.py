"""VCF: effects in INFO, the field declared in the header; ``.vcf.gz`` is sorted and has an index.

An input that was VCF or BCF keeps all that its rows say. Other rows become a VCF of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ...sequences.files.opening import opened
from ..table import Table
from .genome_order import Placed, in_genome_order
from .indexed import BgzfText, make_index, write_lines

KEY = "DNALLM"
WHY = "DNALLM_WHY"
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_MEANING = {
    "likelihood": "Log-likelihood of the alternative less that of the reference (nats; harmful is "
    "negative)",
    "embedding-distance": "Minus the distance of the alleles' embeddings (harmful is negative)",
}
_OURS = re.compile(rf"##INFO=<ID=({KEY}|{WHY}),")
_CONTIG = re.compile(r"##contig=<ID=([^,>]+)")
_ESCAPED = {ord(each): f"%{ord(each):02X}" for each in "%;=,\t\r\n"} | {ord(" "): "_"}
Alleles = dict[int, tuple[float, str]]  # of one row: each one's effect, and why it has none


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write ``tables`` with ``chrom``, ``pos`` (1-based), ``ref``, ``alt`` and ``effect``.

    ``details["contigs"]``: (name, length) of the genome's contigs. ``details["vcf"]``: the input;
    where it is a VCF or BCF its rows are copied and annotated by the tables' ``record`` (1-based)
    and ``allele`` (0-based), which come in its order. A row's ``DNALLM`` has one value an
    alternative allele, ``.`` where there is none; ``DNALLM_WHY`` then says why.

    The plain ``.vcf`` of a VCF keeps its order; everything else is in genome order.
    """
    compressed = str(details["name"]).lower().endswith(".gz")
    source = details.get("vcf")
    given = _read(source)
    header: list[str] = []
    if given is None:
        rows = _made(tables)
    else:
        header, copied = given
        rows = _annotated(copied, _by_record(tables))
    lengths = dict(details["contigs"])
    declared = [found[1] for line in header if (found := _CONTIG.match(line))]
    if given is None or compressed:
        names, lines = in_genome_order(rows, [*declared, *lengths], path.parent)
    else:
        again = _read(source)
        assert again is not None
        names = list(dict.fromkeys(line.split("\t", 1)[0] for line in again[1]))
        lines = (line for _, _, line in rows)
    if given is None:
        names = list(dict.fromkeys([*lengths, *names]))
    contigs = [_contig(name, lengths) for name in names if name not in declared]
    target: Any = BgzfText(path) if compressed else path.open("w", encoding="utf-8", newline="")
    with target as file:
        meaning = _MEANING[details["settings"].get("effect", "likelihood")]  # a scan has no other
        write_lines(file, _header(header, contigs, str(details["model"]), meaning))
        write_lines(file, lines)
    if compressed:
        make_index(path, details["contigs"], names, preset="vcf")


def _header(given: Sequence[str], contigs: Sequence[str], model: str, meaning: str) -> list[str]:
    """The input's own header, or a new one, with what the rows need declared."""
    notes = [line for line in given if line.startswith("##") and not _OURS.match(line)]
    if not notes or not notes[0].startswith("##fileformat="):
        notes.insert(0, "##fileformat=VCFv4.2")
    named = next((line for line in given if not line.startswith("##")), "#CHROM")
    columns = named.split("\t")
    return [
        *notes,
        *contigs,
        f'##INFO=<ID={KEY},Number=A,Type=Float,Description="{meaning} by {model}">',
        f'##INFO=<ID={WHY},Number=A,Type=String,Description="Why an allele has no such effect">',
        "\t".join([*columns, *COLUMNS[len(columns) :]]),
    ]


def _contig(name: str, lengths: Mapping[str, int]) -> str:
    length = f",length={lengths[name]}" if name in lengths else ""
    return f"##contig=<ID={name}{length}>"


def _made(tables: Iterable[Table]) -> Iterator[Placed]:
    """A row an allele, of tables that came from no VCF."""
    for table in tables:
        count = len(table)
        empty = [""] * count
        columns: list[Any] = [
            table.columns.get(name, empty) for name in ("chrom", "id", "ref", "alt", "reason")
        ]
        for chrom, given, ref, alt, reason, pos, effect in zip(
            *columns, table["pos"], table["effect"], strict=True
        ):
            info = _info([(float(effect), reason)])
            yield (
                chrom,
                int(pos),
                f"{chrom}\t{pos}\t{given or '.'}\t{ref or '.'}\t{alt or '.'}\t.\t.\t{info}",
            )


def _annotated(lines: Iterable[str], found: Iterator[tuple[int, Alleles]]) -> Iterator[Placed]:
    current = next(found, None)
    for record, line in enumerate(lines, 1):
        fields = line.split("\t")
        fields += ["."] * (len(COLUMNS) - len(fields))
        alleles: Alleles = {}
        if current is not None and current[0] == record:
            alleles = current[1]
            current = next(found, None)
        count = fields[4].count(",") + 1
        info = _info([alleles.get(place, (float("nan"), "")) for place in range(count)])
        others = [
            each
            for each in fields[7].split(";")
            if each not in ("", ".") and each.split("=", 1)[0] not in (KEY, WHY)
        ]
        fields[7] = ";".join([*others, info])
        yield fields[0], int(fields[1]), "\t".join(fields)


def _info(alleles: Sequence[tuple[float, str]]) -> str:
    values = ",".join("." if effect != effect else f"{effect:.6g}" for effect, _ in alleles)
    if not any(reason for _, reason in alleles):
        return f"{KEY}={values}"
    reasons = ",".join(reason.translate(_ESCAPED) or "." for _, reason in alleles)
    return f"{KEY}={values};{WHY}={reasons}"


def _by_record(tables: Iterable[Table]) -> Iterator[tuple[int, Alleles]]:
    """The alleles of each row that has some, in order."""
    number, alleles = 0, Alleles()
    for table in tables:
        for record, allele, effect, reason in zip(
            table["record"], table["allele"], table["effect"], table["reason"], strict=True
        ):
            if record != number:
                if alleles:
                    yield number, alleles
                number, alleles = int(record), {}
            alleles[int(allele)] = float(effect), str(reason)
    if alleles:
        yield number, alleles


def _read(source: Any) -> tuple[list[str], Iterator[str]] | None:
    """Header lines and rows of a VCF or BCF, their ends taken off; None for anything else."""
    if source is None or not Path(source).is_file():
        return None
    with opened(Path(source)) as file:
        if file.head.startswith(b"BCF\2"):
            return _read_bcf(Path(source))
        head = file.head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    fields = head.split("\n", 1)[0].split("\t")
    if not head.startswith("#") and not (len(fields) > 4 and fields[1].isdigit()):
        return None  # neither a header nor a row
    header: list[str] = []
    lines = _lines(Path(source))
    for line in lines:
        if not line.startswith("#"):
            return header, chain([line], (each for each in lines if not each.startswith("#")))
        header.append(line)
    return header, iter(())


def _lines(path: Path) -> Iterator[str]:
    with opened(path) as source:
        for line in source.text():
            if text := line.strip("\r\n"):
                yield text


def _read_bcf(path: Path) -> tuple[list[str], Iterator[str]]:
    import pysam

    with pysam.VariantFile(str(path)) as file:
        header = str(file.header).splitlines()

    def rows() -> Iterator[str]:
        with pysam.VariantFile(str(path)) as file:
            for row in file:
                yield str(row).rstrip("\n")

    return header, rows()
