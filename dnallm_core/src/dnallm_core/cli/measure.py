"""Measure what a model costs on this machine: peak memory and time, by length and batch."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from .. import values
from ..catalog import catalog
from ..errors import RequirementError
from ..manifest import words
from ..selection.requirements import MODES
from .output import print_json, print_table, say, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", help="an id or alias of an installed model")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (cpu)")
    parser.add_argument("--dtype", default="float32", help=f"one of {', '.join(words.DTYPES[:3])}")
    parser.add_argument("--mode", default="inference", help=f"one of {', '.join(MODES)}")
    parser.add_argument("--lengths", metavar="N,N", help="tokens a sequence, by commas")
    parser.add_argument("--batches", metavar="N,N", default="1,4", help="rows a batch, by commas")
    parser.add_argument("--layers", type=int, metavar="N", help="build only so many blocks")
    parser.add_argument("--memory", metavar="SIZE", help="leave out runs that would take more")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    parser.add_argument("--time", metavar="DURATION", default="5min", help="for all runs (5min)")
    parser.add_argument(
        "--write-facts", action="store_true", help="write to the plugin's checkout, not to you"
    )
    parser.add_argument("--dry-run", action="store_true", help="measure and write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table of what was held against the fit, and write the record."""
    from ..measuring import measure, write_overlay, write_plugin_facts

    manifest = catalog()[options.model]
    found = measure(
        manifest,
        device=options.device,
        dtype=values.word(options.dtype, words.DTYPES[:3], "dtype"),
        mode=values.word(options.mode, MODES, "mode"),
        lengths=_numbers(options.lengths, "lengths") if options.lengths else None,
        batches=_numbers(options.batches, "batches"),
        layers=options.layers,
        memory=values.memory(options.memory) if options.memory else _room(),
        threads=options.threads,
        budget=values.duration(options.time),
        tell=say,
    )
    path = None
    if not options.dry_run:
        if options.write_facts:
            path = write_plugin_facts(manifest, found.record)
        else:
            path = write_overlay(manifest.id, found.record)
        say(f"Written to {path}.")
    if options.json:
        print_json(_envelope(found, str(path) if path else None))
        return 0
    print_table(
        ("ROWS", "TOKENS", "MEASURED", "PREDICTED", "DEVIATION"),
        [
            (rows, f"{tokens:,}", size(measured), size(predicted), f"{deviation:+.1%}")
            for rows, tokens, measured, predicted, deviation in found.table()
        ],
    )
    return 0


def _room() -> int:
    """Nine tenths of what is free here."""
    from ..resources import this_machine

    return round(this_machine().best.memory * 0.9)


def _numbers(text: str, name: str) -> list[int]:
    try:
        return [values.count(part, name) for part in text.split(",")]
    except RequirementError as error:
        raise RequirementError(
            f"{name}: {text!r} is no list of whole numbers.", requirement=name
        ) from error


def _envelope(found: Any, path: str | None) -> dict[str, Any]:
    return {
        "model": found.model,
        "record": found.record,
        "written_to": path,
        "held": [
            {"rows": rows, "tokens": tokens, "measured": measured, "predicted": predicted}
            for rows, tokens, measured, predicted, _ in found.table()
        ],
        "fits": [each and asdict(each) for each in found.fits],
    }
