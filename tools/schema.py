"""Write the JSON schema of ``dnallm.toml`` and the manifest reference from the pydantic models.

python tools/schema.py            write both
python tools/schema.py --check    exit 1 where what is committed differs
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dnallm_core.manifest import schema

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs/dnallm.schema.json"
REFERENCE = ROOT / "docs/manifest.md"

INTRODUCTION = """\
# The manifest

A plugin declares its models in one file, `dnallm.toml`, inside its package. This page is generated
from `dnallm_core/manifest/schema.py`; the same as JSON schema is
[dnallm.schema.json](dnallm.schema.json). A field that a model does not set is as its family says.
Unknown fields and impossible values are refused, all at once, as `path:line: where: what`.

An example is any plugin of this repository, such as
`plugins/dnallm-mamba/src/dnallm_mamba/dnallm.toml`.
"""


def reference() -> str:
    """The manifest's tables and fields as Markdown."""
    parts = [INTRODUCTION]
    tables = (
        ("The file", schema.ManifestTable),
        ("`[families.ID]` and what models share", schema.FamilyTable),
        ("`[models.ID]` in addition", schema.ModelTable),
        ("`weights`", schema.WeightsTable),
        ("`weights.files`", schema.FileTable),
        ("`licence`", schema.LicenceTable),
        ("`trained_on`", schema.TrainedOnTable),
        ("`scaling`", schema.ScalingTable),
        ("`paper`", schema.PaperTable),
    )
    shared = set(schema.FamilyTable.model_fields)
    for title, table in tables:
        described = table.model_json_schema()
        parts.append(f"\n## {title}\n\n{(table.__doc__ or '').strip()}\n")
        parts.append("| field | value | meaning |\n|---|---|---|")
        for name, facts in described["properties"].items():
            if table is schema.ModelTable and name in shared:
                continue
            value = _value(facts, described.get("$defs", {}))
            parts.append(f"| `{name}` | {value} | {facts.get('description', '')} |")
    return "\n".join(parts) + "\n"


def _value(facts: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "anyOf" in facts:
        options = [each for each in facts["anyOf"] if each.get("type") != "null"]
        return " or ".join(_value(each, definitions) for each in options)
    if "$ref" in facts:
        return "a table"
    if "enum" in facts:
        return ", ".join(f"`{each}`" for each in facts["enum"])
    if facts.get("type") == "array":
        return f"list of {_value(facts['items'], definitions)}"
    return {"object": "a table", "boolean": "true or false", "integer": "whole number"}.get(
        facts.get("type", ""), facts.get("type", "any")
    )


def main() -> int:
    made = {
        SCHEMA: json.dumps(schema.ManifestTable.model_json_schema(), indent=1, ensure_ascii=False)
        + "\n",
        REFERENCE: reference(),
    }
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the schema says: run `make docs`.")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
