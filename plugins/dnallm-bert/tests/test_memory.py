"""Loading a checkpoint takes little more memory than its weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("measure_loading.py")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_anonymous_memory_stays_below_a_tenth_above_the_weights(form, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), form, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    weights, peak = map(int, done.stdout.split())
    assert weights > 80_000_000
    assert peak <= 1.1 * weights
