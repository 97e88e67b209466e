"""What the commands that run a model share: flags, loading, reading, and what is said at the end."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import RequirementError, SequenceError
from .divided import add_division, finish
from .output import say

__all__ = ["finish"]  # what ends every job

if TYPE_CHECKING:
    from ..models import Model
    from ..sequences.alignment import Alignment
    from ..sequences.files import Genome, Record, Region


Item = TypeVar("Item")


class Readings(Generic[Item]):
    """What a file holds, read anew whenever it is iterated over: a divided run reads more than once."""

    def __init__(self, read: Callable[[], Iterable[Item]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Item]:
        return iter(self._read())


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model and how it is loaded."""
    parser.add_argument("model", help="a model's id or alias; with --weights a family")
    group = add_loading(parser)
    group.add_argument("--weights", metavar="FOLDER", help="a checkpoint in its authors' layout")
    group.add_argument("--quantise", metavar="KIND", help="keep linear weights in 8 bits: int8")
    group.add_argument(
        "--device-map", choices=("auto",), help="over all GPUs, then main memory, then disk: auto"
    )
    group.add_argument("--offline", action="store_true", help="never ask the network")


def add_loading(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add where and in which number format a network runs."""
    group = parser.add_argument_group("loading")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    group.add_argument(
        "--batch-tokens", type=_positive, default=16_384, metavar="N", help="tokens a batch at most"
    )
    return group


def add_output(parser: argparse.ArgumentParser, formats: str) -> None:
    """Add the output, how it is written, and how the run is divided."""
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", type=Path, help=f"one of {formats}"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="print the run's record as JSON")
    add_division(parser)


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add a file of sequences and how it is read."""
    parser.add_argument(
        "input",
        nargs="?",
        help="FASTA, FASTQ, CSV, TSV, Parquet or lines, compressed or not; - for stdin",
    )
    group = parser.add_argument_group("reading")
    group.add_argument("--format", help="fasta, fastq, table or lines (default: told by content)")
    group.add_argument("--column", help="a table's column of sequences")
    group.add_argument("--name-column", help="a table's column of names")
    group.add_argument("--skip-empty", action="store_true", help="leave out empty records")
    group.add_argument("--duplicates", help="of a name: error, suffix or keep")
    group.add_argument("--regions", metavar="FILE", help="BED or GFF, in place of an input")
    group.add_argument("--genome", metavar="FASTA", help="where --regions lie")
    group.add_argument("--contig-names", metavar="RULE", help='"chr", or a table of two columns')


def add_windows(parser: argparse.ArgumentParser) -> None:
    """Add windows of long sequences."""
    parser.add_argument(
        "--window", type=read_length, metavar="BP", help="cut sequences into windows"
    )
    parser.add_argument("--stride", type=read_length, metavar="BP", help="from window to window")


def add_genome(parser: argparse.ArgumentParser) -> None:
    """Add the genome, and what is laid beside it."""
    parser.add_argument("--genome", required=True, metavar="FASTA", help="the reference genome")
    parser.add_argument(
        "--alignment",
        metavar="FILE",
        help="other genomes along it (MAF, Zarr or aligned FASTA), for models that read them",
    )
    parser.add_argument(
        "--contig-names", metavar="RULE", help='"chr" (chr1 is 1), or a table of two columns'
    )
    parser.add_argument("--window", type=read_length, metavar="BP", help="bp around a base")
    parser.add_argument("--one-strand", action="store_true", help="the forward strand alone")


def open_genome(options: argparse.Namespace) -> Genome:
    """The genome that the flags say."""
    from ..sequences.files import Genome

    rule = options.contig_names
    if rule is None or rule == "chr":
        return Genome(options.genome, contig_names=rule)
    lines = Path(rule).read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if line.strip()]
    return Genome(options.genome, contig_names={pair[0]: pair[1] for pair in pairs if pair[1:]})


def open_alignment_of(options: argparse.Namespace, genome: Genome) -> Alignment | None:
    """The alignment that the flags say; an aligned FASTA's reference is the genome's only contig."""
    if options.alignment is None:
        return None
    from ..sequences.alignment import open_alignment

    names = list(genome.lengths)
    return open_alignment(options.alignment, contig=names[0] if len(names) == 1 else None)


def add_sequences(parser: argparse.ArgumentParser) -> None:
    """Add what every task over a file of sequences takes: a model, the file, windows."""
    add_model(parser)
    add_input(parser)
    add_windows(parser)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The keywords of every task over a file of sequences."""
    return {
        **input_settings(options),
        "window": options.window,
        "stride": options.stride,
        "batch_tokens": options.batch_tokens,
        "overwrite": options.overwrite,
        "quiet": options.quiet,
    }


def open_model(options: argparse.Namespace) -> Model:
    """Load the model that the flags say, and tell what became of it."""
    from ..opening import load
    from ..tasks.run import COMMAND

    COMMAND.set(options.command_line)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    model = load(
        options.model,
        weights=options.weights,
        device=options.device,
        dtype=options.dtype,
        quantisation=getattr(options, "quantise", None),
        device_map=getattr(options, "device_map", None),
        offline=True if options.offline else None,
    )
    if not options.quiet:
        engine, kept = (model.provenance.get(key) for key in ("engine", "quantisation"))
        where = model.provenance.get("device_map", model.provenance["device"])
        say(
            f"{model.manifest.id} on {where} in {model.provenance['dtype']}"
            + (f", weights in {kept}" if kept else "")
            + (f", {engine} engine" if engine else "")
        )
    return model


def read_input(options: argparse.Namespace) -> Iterable[Record]:
    """The records of the input that the flags say: a file's, or the sequences of regions."""
    from ..sequences.files import read_records

    by_region = bool(options.regions and options.genome)
    if by_region == bool(options.input) or bool(options.regions) != bool(options.genome):
        raise RequirementError("Give an input, or --regions with --genome, one of the two.")
    if by_region:
        return Readings(lambda: _regions(options))
    return Readings(
        lambda: read_records(
            options.input,
            format=options.format,
            column=options.column,
            name_column=options.name_column,
            skip_empty=options.skip_empty,
            duplicates=options.duplicates,
        )
    )


def _regions(options: argparse.Namespace) -> Iterator[Record]:
    from ..sequences.files import read_regions, region_records

    with open_genome(options) as genome:
        yield from region_records(read_regions(options.regions), genome)


def input_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What a task is told of its input: where it comes from, and the genome that it lies in."""
    if not options.regions and not getattr(options, "region", None):
        return {"source": options.input}
    from ..tasks.run import file_digest

    digest = file_digest(Path(options.genome)) if Path(options.genome).is_file() else None
    return {
        "source": options.regions,
        "genome": {"genome": options.genome, "genome_sha256": digest},
    }


def add_region(parser: argparse.ArgumentParser, which: str) -> None:
    """Add ``--region``; ``which`` says of what."""
    parser.add_argument(
        "--region", action="append", default=[], metavar="CONTIG:FIRST-LAST", help=which
    )


def add_figure(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--figure``; ``what`` is drawn."""
    parser.add_argument("--figure", metavar="FILE", type=Path, help=f"draw {what}: .png or .svg")


def regions_of(options: argparse.Namespace, genome: Genome) -> list[Region]:
    """The regions that ``--region`` and ``--regions`` name, each inside its contig."""
    from dataclasses import replace

    from ..sequences.files import read_regions

    regions = []
    for text in options.region:
        region = parse_region(text)
        length = genome.lengths[genome.contig(region.contig)]
        regions.append(replace(region, end=length) if region.end < 0 else region)
    if options.regions:
        regions += list(read_regions(options.regions))
    named = [replace(each, contig=genome.contig(each.contig)) for each in regions]
    for each in named:
        genome.fetch(each.contig, each.start, each.end)  # outside the contig: a sentence
    return named


def parse_region(text: str) -> Any:
    """``chr1:1001-2000`` (1-based, both included) as a Region, or a whole contig's name."""
    from ..sequences.files import Region

    contig, colon, span = text.rpartition(":")
    first, dash, last = span.replace(",", "").partition("-")
    if colon and dash and first.isdigit() and last.isdigit():
        if not 1 <= int(first) <= int(last):
            raise SequenceError(f"{text!r} begins before 1 or ends before it begins.")
        return Region(contig, int(first) - 1, int(last))
    return Region(text, 0, -1)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def read_length(text: str) -> int:
    """A flag's length in bp, as ``12000`` or ``12kb``."""
    from ..values import length

    try:
        return length(text)
    except RequirementError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
