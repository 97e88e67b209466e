"""The families' tokenizer tables, and where the goldens lie beside the checkout, if they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def tables() -> dict:
    return tomllib.loads((HERE / "tokenizer_tables.toml").read_text())["tables"]
