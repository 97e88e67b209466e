"""Hold an installed plugin to what its manifest declares, promise by promise.

Exit code 0 where every promise is kept, 2 where one is broken. What each check means stands in
docs/conformance.md. Needs torch; nothing is downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequirementError, did_you_mean, nearest
from .output import print_json, print_table, say

if TYPE_CHECKING:
    from ..testing import Record, Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("plugin", help="a plugin's distribution or entry-point name")
    parser.add_argument(
        "--model",
        action="append",
        metavar="ID",
        help="only this family or model, and the plugin as a whole (may be repeated)",
    )
    parser.add_argument(
        "--weights",
        action="store_true",
        help="also hold published weights that are already on this machine to their authors' numbers",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit's XML")
    parser.add_argument("--all", action="store_true", help="list kept promises too")


def run(options: argparse.Namespace) -> int:
    """Run the kit and print what came of it."""
    from ..testing import Conformance

    conformance = Conformance(options.plugin, with_weights=options.weights)
    if options.model:
        plugin = conformance.plugin.plugin
        known = [key for kind in (plugin.rows.values() if plugin else ()) for key in kind]
        for name in options.model:
            if name not in known:
                raise RequirementError(
                    f"{options.plugin} declares no family or model {name!r}.",
                    requirement="model",
                    hint=did_you_mean(nearest(name, known)),
                )
        conformance = Conformance(options.plugin, only=options.model, with_weights=options.weights)
    report = conformance.report()
    if options.junit:
        Path(options.junit).write_text(report.to_junit(), encoding="utf-8")
    if options.json:
        print_json(report.to_dict())
    else:
        _print(report, everything=options.all)
    return 0 if report.passed else 2


def _print(report: Report, *, everything: bool) -> None:
    shown = [
        each
        for each in report.records
        if everything or each.status in ("failed", "stale", "excused")
    ]
    if shown:
        print_table(
            ("CODE", "SUBJECT", "PROMISE", "", "WHY"),
            [(r.code, r.subject, r.name, r.status, r.message) for r in shown],
        )
    counted = _counted(report.records)
    told = ", ".join(f"{count} {status}" for status, count in counted.items())
    say(f"{report.plugin} {report.version}: {told}. Tier: {report.tier() or 'none'}.")


def _counted(records: tuple[Record, ...]) -> Mapping[str, int]:
    counted: dict[str, int] = {}
    for each in records:
        counted[each.status] = counted.get(each.status, 0) + 1
    return counted
