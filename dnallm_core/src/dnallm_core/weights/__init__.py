"""Hub, folder or bundled file -> verified local files."""

from .locate import CheckpointFiles, is_local, locate
from .progress import Progress
from .storage import cache_root

__all__ = ["CheckpointFiles", "Progress", "cache_root", "is_local", "locate"]
