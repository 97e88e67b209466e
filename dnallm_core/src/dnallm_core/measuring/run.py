"""Runs in processes of their own: a network with random weights, one shape of batch, its peak.

    python -m dnallm_core.measuring.run

reads a job a line (JSON) and answers each with one: ``bytes`` above the process with its libraries
imported, ``seconds`` of a forward pass and ``in_blocks`` of it, ``parameters``, ``weights`` in bytes,
``device_name``, or ``error``. The libraries are imported once; where the system can, each run is a
fork of that process.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .steps import Clock

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


_M_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 1 << 16  # of malloc.h; bytes


def main() -> None:
    """Answer jobs until the input ends."""
    import torch  # before the first fork: imported once
    import transformers.modeling_utils

    del torch, transformers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    for line in sys.stdin:
        answers.write(json.dumps(_apart(json.loads(line))) + "\n")
        answers.flush()


def _apart(job: dict[str, Any]) -> dict[str, Any]:
    """One job in a fork; on a GPU, whose driver does not survive one, and on Windows, right here."""
    if job["device"] != "cpu" or not hasattr(os, "fork"):
        return _caught(job)
    network(job)  # imports the network's module
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(_caught(job)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"error": "it was killed, as when memory is short"}


def _caught(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return run(job)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}


def _return_at_once() -> None:
    """Have glibc give every large block back when it is freed, so that the peak is what is alive.

    By default blocks below a threshold that moves (32 MB at most) are kept and reused in an order
    that differs from shape to shape: up to 60 MB of noise, which is none of the network's.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def network(job: dict[str, Any]) -> tuple[Any, Any]:
    """The implementation, and the network's configuration with the job's changes."""
    from ..catalog import catalog
    from ..loading import build, find_implementation

    manifest = catalog()[job["model"]]
    implementation = find_implementation(manifest)
    settings = implementation.read_config(None, {**manifest.config, **job["config"]}, None)
    build(implementation, settings)  # on no device: imports what it imports late
    return implementation, settings


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Peak memory and time of ``job["batch"]`` rows of ``job["tokens"]`` tokens."""
    import torch

    if job.get("exact"):
        _return_at_once()
    if job.get("threads"):
        torch.set_num_threads(job["threads"])
    implementation, settings = network(job)
    device = torch.device(job["device"])
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
        job["dtype"]
    ]
    if device.type == "cuda":
        torch.empty(1, device=device)
    gc.collect()
    before = _resident(device)
    module = random_network(implementation, settings, dtype, device)
    parameters = sum(each.numel() for each in module.parameters())
    weights = sum(each.numel() * each.element_size() for each in module.parameters())
    gc.collect()
    _reset_peak(device)
    clock = Clock(module) if job.get("clock") else None
    seconds, inside = [], []
    for _ in range(job.get("repeats", 2)):
        seconds.append(_one(module, job, device))
        inside.append(clock.seconds() if clock is not None else 0.0)
    fastest = seconds.index(min(seconds))
    return {
        "bytes": max(0, _peak(device) - before),
        "seconds": seconds[fastest],
        "in_blocks": inside[fastest],
        "parameters": parameters,
        "weights": weights,
        "device_name": _device_name(device),
        "versions": _versions(),
    }


def random_network(
    implementation: Any, settings: Any, dtype: torch.dtype, device: torch.device
) -> PreTrainedModel:
    """The network at real size with small random weights: built without memory, then filled."""
    from ..checkpoints import KeyRules, fill
    from ..loading import build

    module = build(implementation, settings)
    fill(
        module,
        _Random(module),
        KeyRules(),
        dtype=dtype,
        device=device,
        float32_keys=implementation.float32_keys,
    )
    return module.eval()


class _Random:
    """A checkpoint whose tensors are made up as they are asked for."""

    def __init__(self, module: PreTrainedModel) -> None:
        self._module = dict(module.state_dict())
        self.shapes = {name: tuple(value.shape) for name, value in self._module.items()}

    def tensor(self, key: str) -> torch.Tensor:
        import torch

        like = self._module[key]
        if not like.is_floating_point():
            return torch.zeros(like.shape, dtype=like.dtype)
        torch.manual_seed(0)  # tensors that are tied must be the same
        return torch.empty(like.shape).uniform_(-0.02, 0.02)


def _one(module: PreTrainedModel, job: dict[str, Any], device: torch.device) -> float:
    import torch

    inputs = inputs_of(module, job, device)
    start = time.perf_counter()
    if job["mode"] == "training":
        _train(module, inputs)
    else:
        with torch.inference_mode():
            module(**inputs)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def inputs_of(
    module: PreTrainedModel, job: dict[str, Any], device: torch.device
) -> dict[str, torch.Tensor]:
    """Rows of tokens, and what else the network asks for."""
    import torch

    shape = (job["batch"], job["tokens"])
    # ids that every vocabulary has: values do not change what memory is used
    inputs = {"input_ids": torch.ones(shape, dtype=torch.int64, device=device)}
    species = getattr(module.config, "n_aux_features", 0)
    if "alignment" in job["inputs"] and species:
        width = int(species) // int(getattr(module.config, "aux_features_vocab_size", 5) or 5)
        inputs["aux_features"] = torch.zeros((*shape, width), dtype=torch.int64, device=device)
    return inputs


def _train(module: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> None:
    import torch

    module.train()
    module.requires_grad_(True)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-6)
    found = module(**inputs)
    states = found.logits if getattr(found, "logits", None) is not None else found[0]
    states.float().square().mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


# --- what a process holds ------------------------------------------------------------------------


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def _resident(device: torch.device) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return _status("VmRSS:")


def _reset_peak(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's high-water mark starts anew


def _peak(device: torch.device) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if Path("/proc/self/status").exists():
        return _status("VmHWM:")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                threads = torch.get_num_threads()
                plural = "s" if threads > 1 else ""
                return f"{line.partition(':')[2].strip()}, {threads} thread{plural}"
    except OSError:
        pass
    return f"CPU, {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    import torch
    import transformers

    from .. import __version__

    return {
        "dnallm-core": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


if __name__ == "__main__":
    main()
