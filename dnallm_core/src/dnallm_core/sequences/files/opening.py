"""Opening a file, or stdin, whatever it is compressed with: told by its first bytes, not its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ...errors import SequenceError, did_you_mean, nearest

BLOCK = 1 << 16  # larger ones leave the processor's cache and are slower
EXTRA = 'pip install "dnallm-core[files]"'
STDIN = "-"
_DAMAGED: set[type[Exception]] = {zlib.error, gzip.BadGzipFile, lzma.LZMAError}
_BINARY = {
    b"BAM\1": "a BAM file of aligned reads",
    b"CRAM": "a CRAM file of aligned reads",
    b"BCF\2": "a BCF file of variants",
    b"PAR1": "a Parquet file",
    b"PK\3\4": "a zip archive",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
    b"\x1a\x41\x27\x43": "a 2bit genome",
    b"\x43\x27\x41\x1a": "a 2bit genome",
    b"\xfc\xca\x26\x00": "a bigWig file",
    b"\x26\xfc\x8f\x88": "a bigWig file",
}


class Source:
    """An open file: ``name`` for messages, ``stream`` of plain bytes, the ``head`` of its content."""

    def __init__(self, name: str, stream: io.BufferedReader) -> None:
        self.name = name
        self.stream = stream
        with reading(name):
            self.head = stream.peek(1 << 12)[: 1 << 12]

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks."""
        with reading(self.name):
            while block := self.stream.read(BLOCK):
                yield block

    def text(self) -> io.TextIOWrapper:
        """The content as text, a byte order mark dropped, line ends as they are."""
        return io.TextIOWrapper(self.stream, encoding="utf-8-sig", newline="")

    @property
    def kind_of_binary(self) -> str:
        """What the content is where it is no text, in words; "" where it may be text."""
        for magic, words in _BINARY.items():
            if self.head.startswith(magic):
                return words
        junk = sum(each < 9 or 13 < each < 32 for each in self.head)
        return "binary, not text" if b"\0" in self.head or junk > len(self.head) // 20 else ""

    def refuse_binary(self, wanted: str) -> None:
        """Raise SequenceError where the content is no text; ``wanted`` says what was hoped for."""
        if kind := self.kind_of_binary:
            hint = ""
            if "reads" in kind:
                hint = "`samtools fasta` turns aligned reads into FASTA."
            elif "2bit" in kind:
                hint = "`twoBitToFa` turns it into FASTA."
            raise SequenceError(f"{self.name} is {kind}; {wanted} was expected.", hint=hint)


@contextmanager
def opened(path: Path | str | BinaryIO, *, may_be_empty: bool = False) -> Iterator[Source]:
    """Open a path, ``-`` for stdin, or a binary stream, and decompress it on the way.

    Knows gzip and bgzip, zstd, bzip2 and xz. Raises SequenceError: no such file, a directory, empty,
    not readable.
    """
    name, raw = _raw(path)
    with raw if name != "stdin" else _left_open(raw):
        buffered = (
            raw
            if isinstance(raw, io.BufferedReader)
            else io.BufferedReader(cast("io.RawIOBase", raw))
        )
        magic = buffered.peek(8)[:8]
        if not magic and not may_be_empty:
            raise SequenceError(f"{name} is empty.")
        stream = _decompressed(buffered, magic, name)
        source = Source(name, stream)
        if not source.head and not may_be_empty:
            raise SequenceError(f"{name} is empty.")
        yield source


@contextmanager
def _left_open(stream: BinaryIO) -> Iterator[BinaryIO]:
    yield stream


def _raw(path: Path | str | BinaryIO) -> tuple[str, BinaryIO]:
    if not isinstance(path, (str, Path)):
        return str(getattr(path, "name", "the stream")), path
    if str(path) == STDIN:
        return "stdin", sys.stdin.buffer
    file = Path(path)
    try:
        return str(path), cast("BinaryIO", file.open("rb"))
    except FileNotFoundError:
        beside = [each.name for each in file.parent.iterdir()] if file.parent.is_dir() else []
        hint = did_you_mean(nearest(file.name, beside))
        raise SequenceError(f"There is no file {path}.", hint=hint) from None
    except IsADirectoryError:
        raise SequenceError(f"{path} is a directory, not a file.") from None
    except PermissionError:
        if file.is_dir():  # what Windows says of a directory
            raise SequenceError(f"{path} is a directory, not a file.") from None
        raise SequenceError(f"{path} may not be read by this user.") from None
    except OSError as error:
        raise SequenceError(f"{path} cannot be opened: {error.strerror or error}.") from error


def _decompressed(raw: io.BufferedReader, magic: bytes, name: str) -> io.BufferedReader:
    opener: IO[bytes]
    if magic.startswith(b"\x1f\x8b"):
        opener = _gunzipped(raw)
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        opener = _zstd(raw, name)
    elif magic.startswith(b"BZh"):
        opener = bz2.BZ2File(raw)
    elif magic.startswith(b"\xfd7zXZ\0"):
        opener = lzma.open(raw)  # noqa: SIM115  # closed with the stream that is returned
    else:
        return raw
    return io.BufferedReader(cast("io.RawIOBase", opener), BLOCK)


def _gunzipped(raw: io.BufferedReader) -> IO[bytes]:
    """Through Intel's library where it is installed (the extra ``files``): in less than half the time."""
    try:
        from isal import igzip, isal_zlib
    except ImportError:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    _DAMAGED.add(cast("type[Exception]", isal_zlib.error))
    return cast("IO[bytes]", igzip.IGzipFile(fileobj=raw))


def _zstd(raw: io.BufferedReader, name: str) -> IO[bytes]:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14

        return cast("IO[bytes]", zstd.ZstdFile(raw))
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError:
        raise SequenceError(
            f"{name} is compressed with zstd, which this Python cannot read by itself.",
            hint=f"Install what reads it: {EXTRA}.",
        ) from None
    return cast("IO[bytes]", _ZstdFile(raw, zstandard.ZstdDecompressor()))


class _ZstdFile(io.RawIOBase):
    """Frames of zstd one after another; unlike the library's own reader it notices a cut file."""

    def __init__(self, raw: io.BufferedReader, library: Any) -> None:
        self._raw = raw
        self._library = library
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            compressed = self._raw.read(BLOCK)
            if not compressed:
                if self._frame is not None:
                    raise EOFError
                return 0
            pieces = []
            while compressed:
                if self._frame is None:
                    self._frame = self._library.decompressobj()
                try:
                    pieces.append(self._frame.decompress(compressed))
                except Exception as error:  # the library's own class, known only where installed
                    raise zlib.error(str(error)) from error
                if not self._frame.eof:
                    break
                compressed = self._frame.unused_data
                self._frame = None
            self._ready = b"".join(pieces)
        taken = self._ready[: len(buffer)]
        buffer[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what compressed or broken files raise into a sentence."""
    try:
        yield
    except EOFError:
        raise SequenceError(
            f"{name} ends in the middle of its compressed data: it is cut short.",
            hint="Copy or download it again.",
        ) from None
    except tuple(_DAMAGED) as error:
        raise SequenceError(
            f"{name} is damaged: {error}.", hint="Copy or download it again."
        ) from error
    except UnicodeDecodeError as error:
        raise SequenceError(f"{name} is not text: byte {error.start:,} is no UTF-8.") from error
    except OSError as error:
        raise SequenceError(f"{name} cannot be read: {error}.") from error
