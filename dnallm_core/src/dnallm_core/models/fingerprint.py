"""What a loaded network is, as a hash: two that have the same give the same answers."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from ..errors import RequirementError

if TYPE_CHECKING:
    from .model import Model


def fingerprint(model: Model) -> str:
    """SHA-256 of a network's tensors, their number format and the model's tokenizer: a second a GB.

    Raises RequirementError where tensors lie beside their device (``spreading``).
    """
    import torch

    if any(each.is_meta for each in model.module.parameters()):
        raise RequirementError(
            "Weights that a device map left in main memory or on disk are not hashed, and a divided "
            "run needs their hash.",
            requirement="device_map",
            hint="Run it whole, or on devices that hold the network.",
        )

    digest = hashlib.sha256(f"{model.manifest.family} {model.dtype}".encode())
    digest.update(json.dumps(model.manifest.tokenizer, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.module.state_dict().items()):
        digest.update(name.encode())
        flat = tensor.detach().contiguous().reshape(-1).cpu()
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()
