"""Join the shards of one run to the output that one machine would have written.

What does not belong together is refused: a shard that is missing, there twice, damaged, of another
run, or computed with other weights or other versions.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import IntegrityError, OutputError
from .job import explaining_a_full_disk
from .outputs import ending_of, writer_for
from .run import Run, file_digest, part_name, provenance, without
from .shards import RECORD, SCHEMA
from .table import Table, read_part

# a path says nothing where a hash of what lies there stands beside it
_HASHED = {
    "input": "input_sha256",
    "genome": "genome_sha256",
    "alignment": "alignment_sha256",
    "weights": "weights_digest",
}
_WEIGHTS = ("weights", "weights_digest", "hub", "revision", "files", "trained", "parent")


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard on disk and its record."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return int(self.record["shard"])

    def table(self, name: str) -> Table:
        """One part. Raises IntegrityError where it is not what was computed."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise IntegrityError(
                f"{self.folder / name} cannot be read: {error.strerror}.", file=name
            ) from error
        if hashlib.sha256(content).hexdigest() != self.record["parts"][name]:
            raise IntegrityError(
                f"{self.folder / name} is damaged: it is not what shard {self.number} computed.",
                file=name,
                hint="Remove that shard, run it again, and merge.",
            )
        return read_part(io.BytesIO(content))


def merge(output: Path, folders: Sequence[Path], *, overwrite: bool = False) -> dict[str, Any]:
    """Write ``output`` from all shards of one run and return its record.

    Raises OutputError for shards that are not exactly those of one run, IntegrityError for a damaged
    one.
    """
    shards = [_read(folder) for folder in folders]
    if not shards:
        raise OutputError(f"There is no shard to make {output} of.")
    first = shards[0]
    for each in shards[1:]:
        refuse_stranger(first, each)
    _refuse_gaps(shards)
    shards.sort(key=lambda shard: shard.number)
    record = first.record
    if ending_of(output) != ending_of(Path(record["name"])):
        raise OutputError(
            f"{output.name}: the shards were run for {record['name']}.",
            hint=f"Give an output that ends in {ending_of(Path(record['name']))}.",
        )
    write = writer_for(output, record["endings"], record["formats"])
    settings, details = record["settings"], record["details"]
    _refuse_changed_input(settings, details)
    with explaining_a_full_disk(output), Run(output, settings, overwrite=overwrite) as run:
        scratch = run.folder / "whole"
        write(
            scratch,
            _tables(shards),
            {"name": output.name, "settings": settings, **details},
        )
        made = _record(shards)
        run.finish(scratch, made)
    return {**made, "warning": record.get("warning") or _kinds(shards)}


def _read(folder: Path) -> Shard:
    if folder.name.endswith(".partial"):
        raise OutputError(
            f"{folder} is unfinished.", hint="Run that shard again: it goes on where it stopped."
        )
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict) or not {"shard", "of", "plan", "parts"} <= set(record):
        raise OutputError(
            f"{folder} is no shard of a run.",
            hint="Shards are the folders OUTPUT.shard-1-of-4 and so on that --shard wrote.",
        )
    if record.get("schema") != SCHEMA:
        raise OutputError(f"{folder} was written by another dnallm, in a form not known here.")
    return Shard(folder, record)


def refuse_stranger(first: Shard, other: Shard) -> None:
    """Raise OutputError where two shards are not of one run on the same weights and versions."""
    if other.record["of"] != first.record["of"]:
        raise OutputError(
            f"{other.folder} is one of {other.record['of']} shards, and {first.folder} one of "
            f"{first.record['of']}: they are of different runs."
        )
    why = difference(first.record, other.record)
    if why:
        raise OutputError(f"{other.folder} does not belong to {first.folder}: {why}.")


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What makes two shards, or workers, those of different runs; "" where nothing does."""
    ours, theirs = one["settings"], other["settings"]
    passed = {path for path, known in _HASHED.items() if ours.get(known) and theirs.get(known)}
    changed = sorted(
        key for key in {*ours, *theirs} - passed - set(_WEIGHTS) if ours.get(key) != theirs.get(key)
    )
    if changed:
        key = changed[0]
        return f"it is of another run ({key} is {_short(theirs.get(key))}, not {_short(ours.get(key))})"
    before, after = one["identity"], other["identity"]
    if before["tensors"] != after["tensors"]:
        return (
            "it has other weights (SHA-256 of the tensors "
            f"{_short(after['tensors'])}, not {_short(before['tensors'])})"
        )
    for name in sorted({*before["versions"], *after["versions"]}):
        had, has = before["versions"].get(name), after["versions"].get(name)
        if had != has:
            return f"it has another version of {name} ({has}, not {had})"
    if "plan" in one and one["plan"] != other.get("plan", one["plan"]):
        return "its plan is another: the input was divided otherwise"
    return ""


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"


def _refuse_gaps(shards: Sequence[Shard]) -> None:
    of = int(shards[0].record["of"])
    by_number: dict[int, Shard] = {}
    for shard in shards:
        if shard.number in by_number:
            raise OutputError(
                f"Shard {shard.number} of {of} is there twice: {by_number[shard.number].folder} "
                f"and {shard.folder}.",
                hint="Give each shard once.",
            )
        by_number[shard.number] = shard
    missing = [number for number in range(1, of + 1) if number not in by_number]
    if missing:
        named = ", ".join(map(str, missing))
        raise OutputError(
            f"Of {of} shards, {len(missing)} {'is' if len(missing) == 1 else 'are'} missing: {named}.",
            hint=f"Run with --shard {missing[0]}/{of}, and merge then.",
        )
    planned = {part_name(number) for number in range(int(shards[0].record["plan"]["parts"]))}
    held = [name for shard in shards for name in shard.record["parts"]]
    if sorted(held) != sorted(planned):
        raise OutputError("The shards together do not hold each part of the run once.")


def _refuse_changed_input(settings: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """The rows of an input that is copied into the output must still be those that were scored."""
    source = details.get("vcf")
    if source and settings.get("input_sha256") and Path(source).is_file():
        if file_digest(Path(source)) != settings["input_sha256"]:
            raise OutputError(f"{source} is not what it was when the shards were run.")
    elif source and settings.get("input_sha256"):
        raise OutputError(f"{source}, whose rows the output repeats, is not there any more.")


def _tables(shards: Sequence[Shard]) -> Iterator[Table]:
    where = {name: shard for shard in shards for name in shard.record["parts"]}
    for name in sorted(where):
        yield where[name].table(name)


def _record(shards: Sequence[Shard]) -> dict[str, Any]:
    first = shards[0].record
    repeat = {
        key: value
        for key, value in (
            ("command", without(first.get("command") or (), valued=("--shard",))),
            ("folder", first.get("folder")),
        )
        if value
    }
    return {
        **provenance({}),
        **{key: first[key] for key in ("python", "versions", "model") if key in first},
        **repeat,
        "seconds": round(sum(float(shard.record.get("seconds", 0)) for shard in shards), 3),
        "parts": first["plan"]["parts"],
        "done": first["plan"]["total"],
        "shards": [
            {
                "shard": shard.number,
                "parts": len(shard.record["parts"]),
                "seconds": shard.record.get("seconds"),
                "resumed_parts": shard.record.get("resumed_parts"),
                "device": shard.record["model"].get("device"),
            }
            for shard in shards
        ],
    }


def _kinds(shards: Sequence[Shard]) -> str:
    kinds = sorted({str(each.record["model"].get("device", "")).split(":")[0] for each in shards})
    if len(kinds) < 2:
        return ""
    return f"The shards were computed on {' and '.join(kinds)}: their roundings differ."
