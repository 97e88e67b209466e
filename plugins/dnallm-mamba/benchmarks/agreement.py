"""How far the engines of the selective scan lie from the reference: outputs and gradients.

    python agreement.py                      # every engine at hand; Triton on a GPU, else interpreted
    python agreement.py --ahead 80 90        # compile the Triton engine for such GPUs, without one

The reference runs in float64 on the same (rounded) numbers; a deviation is a share of the largest
number of that output or gradient, at least 1. `--ahead` makes the engine's own calls, forwards and
backwards, with a driver that compiles and launches nothing: what a GPU of that compute capability
would be given. It prints registers and spills a thread. One JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

if not torch.cuda.is_available():  # read when triton is imported first
    os.environ.setdefault("TRITON_INTERPRET", "1")

SIZES = ((2, 37, 20, 16), (1, 70, 5, 4))  # batch, length, width, states: none fills its block
STRAINED = "strong and weak decays"


def inputs(
    size: tuple[int, ...], dtype: torch.dtype, device: str, strained: bool
) -> dict[str, torch.Tensor]:
    """Arguments of one scan, float32 where the networks hold them so."""
    batch, length, width, states = size
    make = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=make)

    given = {
        "x": normal(batch, length, width),
        "step": (normal(batch, length, width) - 2) * (20 if strained else 1),
        "A": -torch.exp(normal(width, states)) * (50 if strained else 1),
        "B": normal(batch, length, states),
        "C": normal(batch, length, states),
        "D": normal(width),
        "state": normal(batch, width, states),
        "gate": normal(batch, length, width),
    }
    whole = ("A", "state")
    return {
        key: (value if key in whole else value.to(dtype)).to(device) for key, value in given.items()
    }


def outcome(
    engine: Any, given: dict[str, torch.Tensor], mask: torch.Tensor, reverse: bool
) -> dict[str, torch.Tensor]:
    """y, the last state, and the gradients of a loss that weighs every output differently."""
    leaves = {key: value.clone().requires_grad_() for key, value in given.items()}
    y, last = engine.selective_scan(**leaves, mask=mask, reverse=reverse)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device).view_as(y)
    ((y * weights).sum() + (last**2).sum()).backward()
    gradients = {f"d{key}": leaf.grad for key, leaf in leaves.items() if leaf.grad is not None}
    return {"y": y.detach(), "last": last.detach(), **gradients}


def deviations(engine: Any, dtype: torch.dtype, device: str) -> dict[str, float]:
    """The worst of all sizes, both directions, with and without strain, by output and gradient."""
    from dnallm_mamba.scan import reference

    worst: dict[str, float] = {}
    for size in SIZES:
        for reverse in (False, True):
            for strained in (False, True):
                given = inputs(size, dtype, device, strained)
                mask = torch.ones(size[:2], device=device)
                mask[0, :5] = 0
                exact = outcome(reference, {k: v.double() for k, v in given.items()}, mask, reverse)
                found = outcome(engine, given, mask, reverse)
                for key, right in exact.items():
                    apart = (found[key].double() - right).abs().max()
                    share = float(apart / right.abs().max().clamp(min=1))
                    worst[key] = max(worst.get(key, 0.0), share)
    return worst


def compare(wanted: list[str]) -> None:
    """Every engine at hand, or those that are wanted."""
    from dnallm_mamba.scan import chunked

    engines: dict[str, Any] = {"plain": chunked}
    try:
        from dnallm_mamba.scan import native

        native.library()
        engines["native"] = native
    except Exception as error:
        print(json.dumps({"engine": "native", "absent": str(error)}))
    try:
        from dnallm_mamba.scan import triton_scan

        engines["triton"] = triton_scan
    except ImportError as error:
        print(json.dumps({"engine": "triton", "absent": f"{error} (pip install triton)"}))
    for name, engine in engines.items():
        if wanted and name not in wanted:
            continue
        device = "cuda" if name == "triton" and torch.cuda.is_available() else "cpu"
        for dtype in (torch.float32, torch.bfloat16):
            found = deviations(engine, dtype, device)
            how = "interpreted" if name == "triton" and device == "cpu" else device
            row = {"engine": name, "on": how, "inputs": str(dtype).removeprefix("torch.")}
            print(json.dumps({**row, "worst": {k: float(f"{v:.1e}") for k, v in found.items()}}))


def ahead(capability: int) -> None:
    """Compile what the engine launches on a GPU of that compute capability."""
    os.environ.pop("TRITON_INTERPRET", None)
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.runtime.jit import KernelInterface

    class Nothing:
        """A driver of a GPU that is not there."""

        def get_current_target(self) -> Any:
            return GPUTarget("cuda", capability, 32)

        def get_current_device(self) -> int:
            return capability

        def get_current_stream(self, device: int) -> int:
            return 0

    triton.runtime.driver.set_active(Nothing())
    kernels: dict[str, Any] = {}

    def compiled(kernel: Any, grid: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> None:
            found = kernel.run(*arguments, grid=grid, warmup=True, **named)
            key = f"{kernel.fn.__name__} {named.get('BACKWARDS', '')}".replace("True", "backwards")
            kernels[key.replace("False", "").strip()] = found

        return run

    KernelInterface.__getitem__ = compiled  # type: ignore[method-assign, assignment]
    from dnallm_mamba.scan import triton_scan

    for dtype in (torch.float32, torch.bfloat16):
        given = inputs((2, 70, 48, 16), dtype, "cpu", strained=False)
        kernels.clear()
        outcome(triton_scan, given, torch.ones(2, 70), reverse=True)
        for name, kernel in kernels.items():
            row = {"kernel": name, "capability": capability, "inputs": str(dtype)[6:]}
            print(json.dumps({**row, **resources(triton, kernel)}), flush=True)


def resources(triton: ModuleType, kernel: Any) -> dict[str, int]:
    """Of a compiled kernel: the size of its code, shared memory, registers and spilled bytes."""
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(kernel.asm["cubin"])
        command = [str(tools / "cuobjdump"), "-res-usage", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
    said = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", done.stdout + done.stderr))
    found = {"cubin_bytes": len(kernel.asm["cubin"]), "shared_bytes": kernel.metadata.shared}
    names = {"REG": "registers", "STACK": "stack_bytes", "LOCAL": "local_bytes"}
    return found | {names[key]: int(value) for key, value in said.items()}


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ahead", nargs="+", type=int, metavar="CAPABILITY", default=[])
    parser.add_argument("--engines", nargs="+", default=[], help="plain, native, triton")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.ahead:
        compare(arguments.engines)
    for capability in arguments.ahead:
        ahead(capability)


if __name__ == "__main__":
    main()
