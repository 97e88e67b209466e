"""Runs killed at seeded moments: what a new start makes of them is what an undisturbed run makes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

pytestmark = pytest.mark.environment
SEEDS = range(20)
LAUNCHER = '''
"""Loads a model once; for each line of JSON a child runs that command, so that it can be killed."""
import json, os, sys, traceback
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
import dnallm_core, dnallm_core.opening
from dnallm_core.cli.main import dispatch
from dnallm_core.tasks import embedding, scanning, variants
embedding.PART_BASES, scanning.PART_POSITIONS, variants.PART_VARIANTS = 600, 30, 12
model = dnallm_core.load("toy", weights=sys.argv[2], device="cpu")
dnallm_core.opening.load = lambda *_, **__: model
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = dispatch(json.loads(line))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
'''


class Launcher:
    """Commands in processes of their own, one after another."""

    def __init__(self, site, weights, folder):
        script = folder / "launcher.py"
        script.write_text(LAUNCHER)
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(site), str(weights)], cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def run(self, command, *, killed_after=None):
        """Whether it ended by itself; killed when so many seconds have passed."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if killed_after is not None:
            time.sleep(killed_after)
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(child, signal.SIGKILL)
        status = int(self.process.stdout.readline())
        assert status in (0, signal.SIGKILL)
        return status == 0


@pytest.fixture
def launcher(laboratory, toy, tmp_path):
    toy()
    draw = random.Random(7)
    text = "".join(draw.choices("ACGT", k=1500))
    (tmp_path / "genome.fa").write_text(f">c\n{text}\n")
    reads = [text[at : at + draw.randint(10, 60)] for at in range(0, 1400, 3)]
    (tmp_path / "in.fa").write_text("".join(f">r{n}\n{each}\n" for n, each in enumerate(reads)))
    places = draw.sample(range(1500), 400)  # in no order
    (tmp_path / "v.txt").write_text(
        "".join(f"c:{at + 1}:{text[at]}:{'A' if text[at] != 'A' else 'G'}\n" for at in places)
    )
    launched = Launcher(laboratory.folder, tmp_path / "toy-0", tmp_path)
    yield launched
    launched.process.stdin.close()
    launched.process.wait()


JOBS = {
    "embed": (["embed", "toy", "in.fa"], "parquet", ""),
    "scan": (["scan", "toy", "--genome", "genome.fa", "--window", "40"], "vcf.gz", ".tbi"),
    "variants": (
        ["variants", "toy", "v.txt", "--genome", "genome.fa", "--window", "40"], "tsv.gz", ".tbi",
    ),
}  # fmt: skip


def test_sigkill_at_twenty_moments_costs_nothing_but_time(launcher, tmp_path):
    stopped = resumed = 0
    lasted = {}
    for name, (command, ending, _) in JOBS.items():
        launcher.run([*command, "-o", f"{name}-whole.{ending}", "--quiet"])  # warms up
        began = time.perf_counter()
        assert launcher.run([*command, "-o", f"{name}-whole.{ending}", "--quiet", "--overwrite"])
        lasted[name] = time.perf_counter() - began
    for seed in SEEDS:
        draw = random.Random(seed)
        name = list(JOBS)[seed % 3]
        command, ending, index = JOBS[name]
        times = draw.choice((1, 1, 2))
        for attempt in range(5):  # earlier, where a machine that got faster ends before its moment
            output = tmp_path / f"{name}-{seed}-{attempt}.{ending}"
            arguments = [*command, "-o", output.name, "--quiet"]
            kills = 0
            for _ in range(times):
                moment = draw.uniform(0, 1.02) * lasted[name] / 2**attempt
                if not output.exists():
                    kills += not launcher.run(arguments, killed_after=moment)
            if kills:
                break
        stopped += kills
        if not output.exists():
            assert launcher.run(arguments)
        record = json.loads((tmp_path / f"{output.name}.run.json").read_text())
        resumed += record["resumed_parts"] > 0
        for each in ("", index):
            made = (tmp_path / f"{output.name}{each}").read_bytes()
            assert made == (tmp_path / f"{name}-whole.{ending}{each}").read_bytes(), (name, seed)
    assert stopped >= 15
    assert resumed >= 8
