"""Show everything that is known of one model, with its sources."""

from __future__ import annotations

import argparse
from typing import Any

from ..catalog import catalog
from .output import bp, count, print_json, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", help="a model's id, or a hub id or other alias")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print a model's manifest."""
    zoo = catalog()
    row = zoo.row(options.model)
    if options.json:
        print_json({"model": row})
        return 0
    for label, value in _lines(row):
        if value:
            print(f"{label:<22}{value}")
    return 0


def _lines(row: dict[str, Any]) -> list[tuple[str, str]]:
    weights, licence = row.get("weights") or {}, row.get("licence") or {}
    paper, trained_on = row.get("paper") or {}, row.get("trained_on") or {}
    commercial = {True: "commercial use allowed", False: "no commercial use", None: "terms unknown"}
    limit = {
        "hard": "more is an error",
        "trained": "trained length; more runs, with a warning",
        "none": "no limit",
    }
    resolution = row.get("resolution")
    lines = [
        ("model", f"{row['id']} ({row['title']})"),
        ("family", row["family"]),
        (
            "plugin",
            row["plugin"] + ("" if row["installed"] else f" (not installed: {row['install']})"),
        ),
        ("also called", ", ".join(row.get("aliases") or [])),
        ("architecture", f"{row['architecture']}, {row['direction']}, {row['objective']}"),
        ("can do", ", ".join(row["tasks"])),
        ("reads", ", ".join(row["inputs"])),
        ("max length", f"{bp(row.get('max_length'))} ({limit[row.get('length_limit', 'hard')]})"),
        ("resolution", f"{resolution:g} bp a token" if resolution else ""),
        ("cost grows", f"time {row['scaling']['time']}, memory {row['scaling']['memory']}"),
        ("reverse complement", row.get("reverse_complement", "none")),
        ("parameters", count(row.get("parameters"))),
        ("number formats", ", ".join(row.get("dtypes") or [])),
        ("trained on", ", ".join(trained_on.get("domains") or []) or "unknown"),
        ("training data", trained_on.get("data") or ""),
        (
            "licence",
            f"{licence.get('id') or 'not declared'} ({commercial[licence.get('commercial')]})",
        ),
        (
            "paper",
            ", ".join(str(paper[k]) for k in ("title", "doi", "arxiv", "year") if paper.get(k)),
        ),
        ("weights", _place(weights)),
    ]
    for file in weights.get("files") or []:
        digest = file.get("sha256")
        pinned = f"sha256 {digest[:12]}…" if digest else "no published hash"
        lines.append(("  file", f"{file['name']} ({size(file.get('bytes'))}, {pinned})"))
    if row.get("unverified"):
        lines.append(("unverified", row["unverified"]))
    lines += [("note", note) for note in row.get("notes") or []]
    lines += [("source", source) for source in row.get("sources") or []]
    return lines


def _place(weights: dict[str, Any]) -> str:
    if weights.get("bundled"):
        return "bundled with the plugin"
    if weights.get("hub"):
        revision = weights.get("revision")
        gated = ", gated" if weights.get("gated") else ""
        return f"{weights['hub']} at {revision or 'no pinned revision'}{gated}"
    return weights.get("url") or "unknown"
