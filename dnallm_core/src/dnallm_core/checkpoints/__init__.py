"""From files to tensors to a module, strictly."""

from .filling import fill
from .folder import CheckpointFolder
from .keys import KeyRules
from .tensors import TensorSource, open_tensors

__all__ = ["CheckpointFolder", "KeyRules", "TensorSource", "fill", "open_tensors"]
