"""From files to tensors to a module, strictly."""

from .folder import CheckpointFolder
from .keys import KeyRules

__all__ = ["CheckpointFolder", "KeyRules"]
