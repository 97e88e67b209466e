"""The bare install reads and tokenises: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "pysam",
    "pyarrow",
    "zstandard",
    "pydantic",
)


def test_reading_and_tokenising_import_nothing_heavy() -> None:
    program = (
        "import sys, io\n"
        "from dnallm_core.sequences import alphabet, windows, files\n"
        "from dnallm_core.sequences.tokenizers import build_tokenizer\n"
        "list(files.read_records(io.BytesIO(b'>a\\nACGT\\n')))\n"
        "build_tokenizer({'kind': 'byte'}).encode('ACGT')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
