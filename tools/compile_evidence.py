"""Compile the table of published results into the file that ships with the core.

    python tools/compile_evidence.py evidence.json.gz

reads one JSON record a number (model, benchmark, task, setting, value, source ...) and writes
``dnallm_core/src/dnallm_core/evidence/records.json.gz``: the same records by comparable group, every
repeated string once. Records without a source that can be named to a user are left out.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[1] / "dnallm_core/src/dnallm_core/evidence/records.json.gz"
UNNAMEABLE = ("third-party leaderboard report", "deep-learning expression comparison")


class Strings:
    """A list in which every string stands once."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str | None) -> int | None:
        if text is None:
            return None
        if text not in self._places:
            self._places[text] = len(self.values)
            self.values.append(text)
        return self._places[text]


def source_of(text: str) -> str:
    """The source without the transcriber's own bookkeeping."""
    text = re.sub(r" ?\(stored public-file index id \d+[^)]*\)", "", text)
    text = re.sub(r"; markdown dump in stored public-file index id \d+", "", text)
    return text.strip(" ,;")


def compile_records(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The shipped table: strings, models, and groups of records that can be compared."""
    sources, caveats, models = Strings(), Strings(), Strings()
    comparators: set[str] = set()
    families: dict[str, str] = {}
    groups: dict[str, dict[str, Any]] = {}
    for record in records:
        if not record["seen"] or record["source"].startswith(UNNAMEABLE):
            continue
        group = groups.setdefault(
            record["group"],
            {
                "benchmark": record["benchmark"],
                "dataset": record["dataset_or_task"],
                "kind": record["task_kind"],
                "subtask": record["subtask"],
                "domain": record["domain"],
                "metric": record["metric"],
                "evaluator": record["evaluator"],
                "records": [],
            },
        )
        if record["is_comparator"]:
            comparators.add(record["model"])
        families[record["model"]] = record["model_family"].removeprefix("comparator:")
        group["records"].append(
            [
                int(record["id"].removeprefix("ev")),
                models.place(record["model"]),
                record["value"],
                record["setting"],
                sources.place(source_of(record["source"])),
                {"primary": 0, "primary-figure": 1, "secondary": 2}[record["provenance"]],
                int(record["own_model"]),
                int(record.get("likely_failed_run") or False),
                caveats.place(record.get("caveat")),
            ]
        )
    return {
        "schema": 1,
        "fields": ["id", "model", "value", "setting", "source", "provenance", "own_model",
                   "likely_failed_run", "caveat"],
        "models": [[name, families[name], int(name in comparators)] for name in models.values],
        "sources": sources.values,
        "caveats": caveats.values,
        "groups": list(groups.values()),
    }  # fmt: skip


def main() -> None:
    """Write the shipped table."""
    records = json.loads(gzip.decompress(Path(sys.argv[1]).read_bytes()))
    table = json.dumps(compile_records(records), ensure_ascii=False, separators=(",", ":"))
    OUTPUT.write_bytes(gzip.compress(table.encode(), 9, mtime=0))
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size:,} bytes, {len(table):,} unpacked")


if __name__ == "__main__":
    main()
