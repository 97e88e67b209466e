"""Cold ``models`` and ``select`` with 200 generated plugins of 50 models against none of them.

Figures are ratios within one run: medians of fresh interpreters, alternating.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS, MODELS, ROUNDS = 200, 50, 5
HEAD = """\
schema = 1
api = ">=1,<2"

[families.made-{plugin}]
title = "Made {plugin}"
architecture = "convolutional"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "made_{plugin}.network:Made"
scaling = {{ time = "linear", memory = "linear" }}
tasks = ["embedding", "scoring"]
resolution = 1.0
max_length = 1000
tokenizer = {{ kind = "byte", vocabulary_size = 512 }}
"""


def lay_out(folder: Path) -> None:
    """200 packages and their metadata."""
    for plugin in range(PLUGINS):
        home = folder / f"made_{plugin}"
        home.mkdir()
        (home / "__init__.py").write_text("")
        models = [
            f'\n[models.made-{plugin}-{model}]\nfamily = "made-{plugin}"\nparameters = {1000 + model}\n'
            for model in range(MODELS)
        ]
        (home / "dnallm.toml").write_text(HEAD.format(plugin=plugin) + "".join(models))
        info = folder / f"made_{plugin}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: made-{plugin}\nVersion: 0.1\n"
        )
        (info / "entry_points.txt").write_text(
            f"[dnallm.manifests]\nmade_{plugin} = made_{plugin}:dnallm.toml\n"
        )


def seconds(environment: dict[str, str], *arguments: str) -> float:
    """Wall time of a fresh interpreter."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dnallm_core", *arguments],
        env=environment, check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    return time.perf_counter() - begin


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lay_out(folder)
        few = {**os.environ, "DNALLM_CACHE": str(folder / "cache")}
        many = {**few, "PYTHONPATH": str(folder)}
        commands = {
            "models": ["models", "--json"],
            "select": ["select", "--task", "embedding", "--memory", "24GB", "--json"],
        }
        found: dict[str, object] = {"plugins": PLUGINS, "models": PLUGINS * MODELS}
        found["first time, nothing validated before (s)"] = round(
            seconds(many, *commands["models"]), 2
        )
        for name, command in commands.items():
            pairs = [(seconds(few, *command), seconds(many, *command)) for _ in range(ROUNDS)]
            small, large = (statistics.median(each) for each in zip(*pairs, strict=True))
            found[name] = {"installed (s)": round(small, 3), "and 200 more (s)": round(large, 3),
                           "ratio": round(large / small, 2)}  # fmt: skip
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
