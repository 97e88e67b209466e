"""VCF: the input's lines with the effect in INFO, the field declared in the header."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..table import Table

KEY = "DNALLM"


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Copy ``details["vcf"]`` line for line and annotate it.

    Each data line gets ``DNALLM=`` with one value an alternative allele, in their order, ``.`` where
    one could not be scored. Tables hold ``record`` (1-based data line), ``allele`` (0-based) and
    ``effect``, in the input's order. ``.vcf.gz`` is written as BGZF.
    """
    effects = _by_record(tables)
    compressed = str(details["name"]).endswith(".gz")
    with _source(Path(details["vcf"])) as source, _target(path, compressed) as target:
        declared = False
        record = 0
        current = next(effects, None)
        for line in source:
            if line.startswith("##"):
                target.write(line)
                continue
            if line.startswith("#") and not declared:
                target.write(
                    f'##INFO=<ID={KEY},Number=A,Type=Float,Description="Log-likelihood of the '
                    f"alternative less that of the reference (nats; harmful is negative) by "
                    f'{details["model"]}">\n'
                )
                declared = True
                target.write(line)
                continue
            if not line.strip():
                continue
            record += 1
            values: dict[int, float] = {}
            while current is not None and current[0] == record:
                values[current[1]] = current[2]
                current = next(effects, None)
            target.write(_annotated(line, values))


def _annotated(line: str, values: Mapping[int, float]) -> str:
    fields = line.rstrip("\r\n").split("\t")
    alleles = fields[4].split(",")
    spelt = ",".join(_number(values.get(place)) for place in range(len(alleles)))
    info = fields[7] if len(fields) > 7 and fields[7] not in ("", ".") else ""
    while len(fields) < 8:
        fields.append(".")
    fields[7] = f"{info};{KEY}={spelt}" if info else f"{KEY}={spelt}"
    return "\t".join(fields) + "\n"


def _number(value: float | None) -> str:
    return "." if value is None or value != value else f"{value:.6g}"


def _by_record(tables: Iterable[Table]) -> Iterator[tuple[int, int, float]]:
    for table in tables:
        for record, allele, effect in zip(
            table["record"], table["allele"], table["effect"], strict=True
        ):
            yield int(record), int(allele), float(effect)


def _source(path: Path) -> IO[str]:
    with path.open("rb") as file:
        magic = file.read(2)
    if magic == b"\x1f\x8b":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8")
    return path.open(encoding="utf-8", newline="")


def _target(path: Path, compressed: bool) -> Any:
    if not compressed:
        return path.open("w", encoding="utf-8", newline="")
    import pysam

    return _Bgzf(pysam.BGZFile(str(path), "wb"))


class _Bgzf:
    """Text into a BGZF file."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> _Bgzf:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        self._file.write(text.encode())
