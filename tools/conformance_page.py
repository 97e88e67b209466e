"""Generate ``docs/conformance.md`` from the checks' own docstrings.

python tools/conformance_page.py            write it
python tools/conformance_page.py --check    exit 1 where what is committed differs
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from dnallm_core.testing import CHECKS, TIERS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/conformance.md"
TRIAL = ROOT / "tests/core/testing/test_mutations.py"
HEAD = """\
# The conformance kit

Every plugin, ours and yours, is held to its manifest by one list of named checks. They run on a
small network that the family offers (`example_config`) with weights by chance, on a CPU, without a
network connection; only the last tier asks the published weights.

```
dnallm check PLUGIN [--model ID] [--json] [--junit FILE] [--weights]
```

or in the plugin's own tests:

```python
from dnallm_core.testing import PluginConformance


class TestMine(PluginConformance):
    plugin = "dnallm-mine"
    known_failures = {"my-model::pins_its_weights": "its authors state no commit"}
```

or in Python: `dnallm_core.testing.check_plugin("dnallm-mine")` returns a report.

A known failure is `subject::check`, in which `*` stands for anything, with the reason. One under
which nothing fails any more is stale, and fails. A code never changes its meaning; new checks get
new codes. A plugin has a tier when every promise of it, and of the tiers before it, is kept.

That the checks see what they should is itself a test: `tests/core/testing/test_mutations.py` tells
a sound plugin one lie at a time, and each must be caught by the check that names it.
"""
TIER = {
    "listed": "The manifest can be trusted without running anything.",
    "runs": "A small network of the family keeps the house's rules for loading, calling, answering.",
    "true": "What the manifest declares is proved on the network: direction, growth, lengths, size.",
    "reproduces": "The published weights give their authors' numbers.",
}


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    for tier in TIERS:
        parts.append(
            f"\n## {tier}\n\n{TIER[tier]}\n\n| code | check | asked of | promise |\n|---|---|---|---|"
        )
        for each in sorted(CHECKS, key=lambda each: each.code):
            if each.tier == tier:
                promise = " ".join(each.promise.split()).replace("|", "\\|").replace("``", "`")
                parts.append(f"| {each.code} | `{each.name}` | {each.about} | {promise} |")
    names = {each.code: each.name for each in CHECKS}
    parts.append("\n## The mutation trial\n\n| lie or fault | caught by |\n|---|---|")
    parts += [f"| {name} | {code} `{names[code]}` |" for name, code in lies()]
    return "\n".join(parts) + "\n"


def lies() -> list[tuple[str, str]]:
    """(what is told, the check that must catch it), as the trial itself has them."""
    spec = importlib.util.spec_from_file_location("trial", TRIAL)
    assert spec is not None
    assert spec.loader is not None
    trial = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trial)
    return [(each.name, each.code) for each in trial.LIES] + list(trial.OTHERS)


def main() -> int:
    text = page()
    if "--check" in sys.argv:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not same:
            print("docs/conformance.md is not what the checks say: run `make docs`.")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
