"""The report of a probe or a training: ``report.json``, and one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from .drawing import curves, matrix, scatter
from .metrics import FIRST

SCHEMA = 1
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .25rem .7rem; }
th, td { border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.interval { color: #666; font-size: .85em; } .baseline td { background: #f6f6f6; }
svg { font: 11px system-ui, sans-serif; margin: .5rem; } svg .title { font-size: 12px; font-weight: 600; }
.wide { overflow-x: auto; }
"""


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write ``report.json`` and ``report.html`` into a folder."""
    content = {"schema": SCHEMA, **report}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.html").write_text(page(content), encoding="utf-8")


def table_of(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the methods and their figures, as text for a terminal."""
    names = list(report["methods"][0]["figures"])
    rows = [
        [method["name"], *(_with_interval(method["figures"][name]) for name in names)]
        for method in report["methods"]
    ]
    return ["method", *names], rows


def page(report: Mapping[str, Any]) -> str:
    """The whole report as one HTML page."""
    title = f"{report['task']}: {report['model']['model']} on {report['data']['file']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_summary(report))}</p>",
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in report["notes"]) + "</ul>",
        "<h2>Methods</h2>",
        "<p>Each figure with the middle 95 % of bootstrap resamples of the test rows.</p>",
        _methods(report),
        "<h2>Pictures</h2>",
        *_pictures(report),
        "<h2>By label</h2>",
        _labels(report),
        "<h2>How it was made</h2>",
        f"<pre class=wide>{escape(_origin(report))}</pre>",
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _summary(report: Mapping[str, Any]) -> str:
    split, data = report["split"], report["data"]
    how = "the test file" if split["how"] == "given" else f"a split by {split['how']}"
    if split["folds"] > 1:
        how += f", {split['folds']} folds"
    return (
        f"{report['kind']}, {data['rows']:,} sequences; {how}: {split['training_rows']:,} "
        f"training rows, {split['test_rows']:,} test rows."
    )


def _methods(report: Mapping[str, Any]) -> str:
    names = list(report["methods"][0]["figures"])
    head = "".join(f"<th>{escape(name)}</th>" for name in ["method", *names])
    rows = []
    for method in report["methods"]:
        cells = "".join(f"<td>{_cell(method['figures'][name])}</td>" for name in names)
        rows.append(f"<tr class={method['role']}><td>{escape(method['name'])}</td>{cells}</tr>")
    return f"<div class=wide><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _labels(report: Mapping[str, Any]) -> str:
    figure = FIRST[report["kind"]]
    head = "".join(f"<th>{escape(method['name'])}</th>" for method in report["methods"])
    rows = []
    for label in report["classes"]:
        values = (method["labels"][label][figure] for method in report["methods"])
        cells = "".join(f"<td>{_number(value)}</td>" for value in values)
        rows.append(f"<tr><td>{escape(label)}</td>{cells}</tr>")
    return f"<div class=wide><table><tr><th>{figure}</th>{head}</tr>{''.join(rows)}</table></div>"


def _pictures(report: Mapping[str, Any]) -> list[str]:
    kind, classes = report["kind"], report["classes"]
    drawn = []
    if kind != "regression":
        chosen = classes[-1] if len(classes) == 2 else None
        lines = {}
        for method in report["methods"]:
            if chosen is not None:
                lines[method["name"]] = method["curves"][chosen]
        if not lines:
            first = report["methods"][0]
            lines = {name: first["curves"][name] for name in classes}
        what = f" of {chosen}" if chosen is not None else f", {report['methods'][0]['name']}"
        drawn.append(
            curves(
                lines, title=f"ROC{what}", x="false positives", y="true positives",
                diagonal=True, unit=True,
            )
        )  # fmt: skip
        reliable = {each["name"]: each["reliability"] for each in report["methods"]}
        drawn.append(
            curves(
                {name: [row[:2] for row in rows] for name, rows in reliable.items()},
                title="Calibration", x="confidence", y="share right", diagonal=True, unit=True,
            )
        )  # fmt: skip
    for method in report["methods"]:
        if "confusion" in method:
            drawn.append(matrix(method["confusion"], classes, title=method["name"]))
        elif method["curves"].get("points"):
            drawn.append(
                scatter(method["curves"]["points"], title=method["name"], x="true", y="predicted")
            )
        for number, history in enumerate(method.get("histories", ())):
            drawn.append(
                curves(
                    history, title=f"Loss, {method['name']}, run {number + 1}", x="epoch", y="loss"
                )
            )
    return drawn


def _origin(report: Mapping[str, Any]) -> str:
    kept = {key: report[key] for key in ("model", "data", "split", "settings", "versions")}
    kept["methods"] = {method["name"]: method["settings"] for method in report["methods"]}
    return json.dumps(kept, indent=1, ensure_ascii=False, default=str)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _with_interval(figure: list[float | None]) -> str:
    return f"{_number(figure[0])} [{_number(figure[1])}, {_number(figure[2])}]"


def _cell(figure: list[float | None]) -> str:
    low, high = _number(figure[1]), _number(figure[2])
    return f"{_number(figure[0])} <span class=interval>{low} to {high}</span>"
