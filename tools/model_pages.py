"""Write ``docs/models.md``, the page of all models, from the manifests.

python tools/model_pages.py            write it
python tools/model_pages.py --check    exit 1 where what is committed differs
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import plugins

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/models.md"
INTRODUCTION = """\
# The models

Generated from the plugins' manifests; `dnallm show MODEL` says everything that is known of one, with
its sources. A blank is a fact that no source states. "Unverified" marks what is inferred.
"""


def page(entries: list[dict[str, Any]]) -> str:
    """The page's text."""
    parts = [INTRODUCTION]
    for entry in entries:
        parts.append(f"\n## {entry['distribution']}\n\n{entry['summary']} `{entry['install']}`")
        models = entry["rows"]["models"].values()
        for key, family in entry["rows"]["families"].items():
            rows = [model for model in models if model["family"] == key]
            parts.append(f"\n### {family['title']} (`{key}`)\n")
            parts.append(_sentence(family))
            if rows:
                parts.append(
                    "\n| model | parameters | max length | bp a token | trained on | licence | |\n"
                    "|---|---|---|---|---|---|---|"
                )
                parts += [_row(model) for model in rows]
            else:
                parts.append("\nNo checkpoint is listed; `--weights FOLDER` loads one.")
    return "\n".join(parts) + "\n"


def _sentence(family: dict[str, Any]) -> str:
    paper = family.get("paper") or {}
    where = paper.get("doi") or (f"arXiv {paper['arxiv']}" if paper.get("arxiv") else "")
    year = f", {paper['year']}" if paper.get("year") else ""
    title = f' "{paper["title"]}"' if paper.get("title") else ""
    cited = f" Paper:{title} {where}{year}." if where or title else ""
    strand = family.get("reverse_complement", "none")
    return (
        f"{family['architecture'].capitalize()}, {family['direction']}; time grows "
        f"{family['scaling']['time']} with length; reverse complement: {strand}.{cited}"
    ).replace("  ", " ")


def _row(model: dict[str, Any]) -> str:
    licence = model.get("licence") or {}
    domains = ", ".join((model.get("trained_on") or {}).get("domains") or [])
    parameters = f"{model['parameters']:,}" if model.get("parameters") else ""
    length = f"{model['max_length']:,} bp" if model.get("max_length") else ""
    resolution = f"{model['resolution']:g}" if model.get("resolution") else ""
    marks = []
    if (model.get("weights") or {}).get("bundled"):
        marks.append("bundled")
    if model.get("unverified"):
        marks.append("unverified")
    return (
        f"| `{model['id']}` | {parameters} | {length} | {resolution} | {domains} | "
        f"{licence.get('id') or ''} | {', '.join(marks)} |"
    )


def main() -> int:
    text = page(plugins())
    current = PAGE.exists() and PAGE.read_text() == text
    if "--check" in sys.argv:
        if not current:
            print("docs/models.md is not what the manifests say: run `make docs`.")
        return 0 if current else 1
    if not current:
        PAGE.write_text(text)
        print("wrote docs/models.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
