"""Where the carried goldens lie."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden() -> Path:
    """Small checkpoints in their authors' layouts, with the outputs of the authors' own code."""
    return Path(__file__).parent / "golden"
