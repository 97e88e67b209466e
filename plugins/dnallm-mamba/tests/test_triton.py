"""The Triton engine without a GPU: interpreted, it agrees; compiled for a GPU, every kernel fits.

Each in a process of its own: Triton decides when it is first imported whether it interprets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

AGREEMENT = Path(__file__).parents[1] / "benchmarks" / "agreement.py"
pytestmark = pytest.mark.skipif(
    find_spec("triton") is None,
    reason="triton is not installed (PyTorch for CPUs comes without it): pip install triton",
)


def rows(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(AGREEMENT), *arguments],
        capture_output=True, text=True, env={**os.environ, **environment}, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_kernels_agree_with_the_reference_forwards_and_backwards():
    """In Triton's interpreter, or on the GPU where there is one."""
    found = {row["inputs"]: row["worst"] for row in rows("--engines", "triton")}
    assert max(found["float32"].values()) < 2e-6
    assert max(found["bfloat16"].values()) < 1e-2  # bfloat16 itself has steps of 2**-8


@pytest.mark.parametrize("capability", ["80", "90"])
def test_what_a_gpu_would_be_given_compiles_and_spills_nothing(capability, tmp_path):
    found = rows("--ahead", capability, TRITON_CACHE_DIR=str(tmp_path))
    kernels = {"_ends", "_carry", "_outputs", "_ends backwards", "_carry backwards", "_gradients"}
    for dtype in ("float32", "bfloat16"):
        assert {row["kernel"] for row in found if row["inputs"] == dtype} == kernels
    assert all(row["stack_bytes"] == row["local_bytes"] == 0 for row in found)
