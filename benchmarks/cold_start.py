"""What asking costs, cold: CPU time of `models` and `select` over that of importing pydantic.

Each figure is the median of 10 runs, the commands in turn; times are user plus system time of the
whole process. The zoo of 10,000 models is a generated plugin in a folder of its own.

    python benchmarks/cold_start.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from dnallm_core.catalog import catalog

HEAD = """schema = 1
api = ">=1,<2"
[families.made-up]
title = "Made up"
architecture = "state-space"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "{package}.network:Network"
scaling = {{ time = "linear", memory = "linear" }}
tasks = ["embedding", "variant-effect"]
resolution = 1.0
max_length = 8192
licence = {{ id = "MIT", commercial = true }}
trained_on = {{ domains = ["plant"] }}
tokenizer = {{ kind = "byte", vocabulary_size = 512 }}
"""
MODEL = """[models.{name}]
family = "made-up"
parameters = {parameters}
weights = {{ hub = "someone/{name}", files = [{{ name = "model.safetensors", bytes = 1000 }}] }}
"""


def generated_zoo(folder: Path, plugins: int, models: int) -> None:
    """Lay ``plugins`` distributions of ``models`` models each into a folder."""
    for number in range(plugins):
        package = f"zoo_{number}"
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("")
        text = HEAD.format(package=package).replace("made-up", f"made-up-{number}")
        text += "".join(
            MODEL.format(name=f"m{number}-{i}", parameters=1000 + i).replace(
                "made-up", f"made-up-{number}"
            )
            for i in range(models)
        )
        (folder / package / "dnallm.toml").write_text(text)
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(
            f"[dnallm.manifests]\n{package} = {package}:dnallm.toml\n"
        )


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """User plus system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, env=environment, cwd="/", check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> None:
    core = [sys.executable, "-m", "dnallm_core"]
    with tempfile.TemporaryDirectory() as scratch:
        plain = {**os.environ, "DNALLM_CACHE": f"{scratch}/cache"}
        generated_zoo(Path(scratch, "some"), 1, max(1, 200 - len(catalog())))
        generated_zoo(Path(scratch, "large"), 1, 10_000)
        generated_zoo(Path(scratch, "many"), 200, 50)
        large = {**plain, "PYTHONPATH": f"{scratch}/large"}
        many = {**plain, "PYTHONPATH": f"{scratch}/many"}
        some = {**plain, "PYTHONPATH": f"{scratch}/some"}
        select = [*core, "select", "--task", "embedding", "--memory", "24GB", "--json"]
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], plain),
            "pydantic": ([sys.executable, "-c", "from pydantic import BaseModel"], plain),
            "models --json": ([*core, "models", "--json"], plain),
            "select --json": (select, plain),
            "models --json, 200 models": ([*core, "models", "--json"], some),
            "select --json, 200 models": (select, some),
            "models --json, 10,000 models": ([*core, "models", "--json"], large),
            "select --json, 10,000 models": (select, large),
            "models --json, 200 plugins x 50": ([*core, "models", "--json"], many),
        }
        for command, environment in commands.values():
            cpu_seconds(command, environment)  # a first run validates and caches manifests
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(10):
            for name, (command, environment) in commands.items():
                times[name].append(cpu_seconds(command, environment))
        base = median(times["pydantic"])
        for name, values in times.items():
            print(f"{name:<34}{1000 * median(values):>8.0f} ms{median(values) / base:>8.2f} x")


if __name__ == "__main__":
    main()
