"""A genome: contigs by name, any stretch of them, without reading the rest."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import SequenceError, did_you_mean, nearest
from ..alphabet import normalised
from .opening import opened
from .reader import read_records
from .record import Region


class _Contig(NamedTuple):
    """A row of a .fai: length in bp, where its first base lies, bases and bytes a line."""

    length: int
    offset: int
    line_bases: int
    line_bytes: int


class Genome:
    """Random access to a FASTA file.

    Plain FASTA is read in place: through its ``.fai`` where there is one that is no older, else
    through an index made in memory. A bgzipped file is read in place by pysam where it is installed
    (the extra ``files``); without it, and for ordinary gzip, the genome is held in memory.

    ``contig_names`` maps a user's names to the genome's (``{"chr1": "1"}``), or is "chr": the prefix
    ``chr`` may be there or not, and chrM is MT. Sequences come out normalised, as from
    ``read_records``; positions are 0-based.

    Raises SequenceError for files that can't be read, unknown contigs and stretches outside them.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        contig_names: Mapping[str, str] | str | None = None,
        keep_case: bool = False,
    ) -> None:
        self.path = Path(path)
        self.contig_names = contig_names
        self.keep_case = keep_case
        self._memory: dict[str, str] = {}
        self._index: dict[str, _Contig] = {}
        self._file: BinaryIO | None = None
        self._pysam: Any = None
        self._scratch: Path | None = None
        self._lock = threading.Lock()  # one file position, and several threads that fetch
        self._open()

    @property
    def lengths(self) -> Mapping[str, int]:
        """Contigs and their lengths in bp, in the file's order."""
        return self._lengths

    def contig(self, name: str) -> str:
        """The genome's own name of a contig; SequenceError where it has none such."""
        lengths = self._lengths
        if isinstance(self.contig_names, Mapping):
            name = self.contig_names.get(name, name)
        if name in lengths:
            return name
        other = _other_spelling(name, lengths)
        if other and self.contig_names == "chr":
            return other
        if other:
            hint = (
                f"The genome calls it {other!r}: say --contig-names chr, or give it a table of names "
                '(in Python contig_names="chr").'
            )
        else:
            some = ", ".join(list(lengths)[:5])
            hint = (
                did_you_mean(nearest(name, lengths)) or f"It has {some}{' …' * (len(lengths) > 5)}."
            )
        raise SequenceError(f"{self.path} has no contig {name!r}.", record=name, hint=hint)

    def fetch(self, contig: str, start: int = 0, end: int | None = None) -> str:
        """The bases [start, end) of a contig, all of it by default."""
        name = self.contig(contig)
        length = self._lengths[name]
        end = length if end is None else end
        if not 0 <= start <= end or end > length:
            raise SequenceError(
                f"{contig}:{start + 1:,}-{end:,} lies outside {name}, which has {length:,} bp.",
                record=contig,
                position=start + 1,
            )
        if name in self._memory:
            return self._memory[name][start:end]
        with self._lock:
            if self._pysam is not None:
                letters = self._pysam.fetch(name, start, end)
            else:
                letters = self._slice(self._index[name], start, end)
        return normalised(letters, record=name, keep_case=self.keep_case)

    def sequence(self, region: Region) -> str:
        """A region's bases as they lie on the forward strand."""
        return self.fetch(region.contig, region.start, region.end)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        if self._pysam is not None:
            self._pysam.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        with opened(self.path) as source:
            source.refuse_binary("a FASTA genome")
            with self.path.open("rb") as raw:
                magic = raw.read(18)
        if magic.startswith(b"\x1f\x8b"):
            if magic[12:14] == b"BC":  # the extra field that makes gzip seekable: bgzip
                self._open_bgzip()
            if self._pysam is None:
                self._hold()
        elif magic[:1] == b">" or source.head.lstrip()[:1] == b">":
            self._open_plain()
        else:
            self._hold()  # other compressions; no FASTA: its reader says so
        self._lengths: dict[str, int]
        if self._pysam is not None:
            self._lengths = dict(zip(self._pysam.references, self._pysam.lengths, strict=True))
        elif self._file is not None:
            self._lengths = {name: contig.length for name, contig in self._index.items()}
        else:
            self._lengths = {name: len(sequence) for name, sequence in self._memory.items()}

    def _hold(self) -> None:
        records = read_records(self.path, format="fasta", keep_case=self.keep_case, skip_empty=True)
        self._memory = {record.name: record.sequence for record in records}

    def _open_bgzip(self) -> None:
        try:
            import pysam
        except ImportError:
            return
        places: dict[str, str] = {}
        if not Path(f"{self.path}.fai").exists() or not Path(f"{self.path}.gzi").exists():
            # Its indexes go to a scratch folder: a user's folder isn't written to unasked.
            self._scratch = Path(tempfile.mkdtemp(prefix="dnallm-"))
            places = {
                "filepath_index": str(self._scratch / "genome.fai"),
                "filepath_index_compressed": str(self._scratch / "genome.gzi"),
            }
        try:
            self._pysam = pysam.FastaFile(str(self.path), **places)
        except (OSError, ValueError):
            self._pysam = None  # read_records says what is wrong

    def _open_plain(self) -> None:
        beside = Path(f"{self.path}.fai")
        if beside.is_file() and beside.stat().st_mtime >= self.path.stat().st_mtime:
            self._index = _read_index(beside)
        else:
            self._index = _made_index(self.path)
        self._file = self.path.open("rb")

    def _slice(self, contig: _Contig, start: int, end: int) -> str:
        if start == end:
            return ""
        assert self._file is not None
        first, last = _place(contig, start), _place(contig, end - 1) + 1
        self._file.seek(first)
        return self._file.read(last - first).translate(None, b"\r\n \t").decode("latin-1")


def _place(contig: _Contig, base: int) -> int:
    line, column = divmod(base, contig.line_bases)
    return contig.offset + line * contig.line_bytes + column


def _read_index(path: Path) -> dict[str, _Contig]:
    index = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("\t")
        try:
            length, offset, bases, width = (int(each) for each in fields[1:5])
        except ValueError:
            raise SequenceError(
                f"{path} is no index of a FASTA file: line {number:,} is {line[:40]!r}.",
                hint="Delete it, or make it again with `samtools faidx`.",
            ) from None
        index[fields[0]] = _Contig(length, offset, max(bases, 1), max(width, 1))
    return index


def _made_index(path: Path) -> dict[str, _Contig]:
    """What `samtools faidx` writes; SequenceError where a contig's lines differ in width."""
    index: dict[str, _Contig] = {}
    name: str | None = None
    length = offset = bases = width = at = 0
    short: int | None = None  # the line that was shorter than the others: only the last may be
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            at += len(line)
            letters = len(line.rstrip(b"\r\n"))
            if line.startswith(b">"):
                if name is not None:
                    index[name] = _Contig(length, offset, max(bases, 1), max(width, 1))
                words = line[1:].split(None, 1)
                name = words[0].decode("utf-8", "replace") if words else str(len(index) + 1)
                if name in index:
                    raise SequenceError(f"{path} has two contigs called {name}.", record=name)
                length, offset, bases, width, short = 0, at, 0, 0, None
                continue
            if not letters:
                short = short or (number if length else None)
                continue
            if not length:
                bases, width, offset = letters, len(line), at - len(line)
            elif short is not None or letters > bases:
                raise SequenceError(
                    f"{path}: line {short or number:,} of contig {name} is not as long as those before "
                    "it, so places cannot be found without reading all of it.",
                    record=name or "",
                    hint="Wrap its lines evenly: `seqtk seq -l 60`.",
                )
            if letters < bases:
                short = number
            length += letters
    if name is not None:
        index[name] = _Contig(length, offset, max(bases, 1), max(width, 1))
    return index


def _other_spelling(name: str, contigs: Mapping[str, int]) -> str | None:
    bare = name[3:] if name.lower().startswith("chr") else name
    for other in (bare, f"chr{bare}", f"Chr{bare}"):
        if other != name and other in contigs:
            return other
    if bare in ("M", "MT"):
        return next((each for each in ("MT", "chrM", "M", "chrMT") if each in contigs), None)
    return None
