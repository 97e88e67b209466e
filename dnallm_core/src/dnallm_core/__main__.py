"""``python -m dnallm_core`` is the command ``dnallm``."""

from .cli.main import main

main()
