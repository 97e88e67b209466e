"""The families' tokenizer tables, and where the goldens lie beside the checkout, if they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Machines are shared: an example may take long without anything being wrong.
settings.register_profile("sequences", deadline=None)
settings.load_profile("sequences")

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def tables() -> dict:
    return tomllib.loads((HERE / "tokenizer_tables.toml").read_text())["tables"]
