"""``dnallm greet``."""

from dnallm_core.hooks import hookimpl


@hookimpl
def dnallm_commands():
    """One command."""
    return {"greet": ("say hello", fill)}


def fill(parser):
    """Its flags."""
    parser.add_argument("name")
    parser.set_defaults(run=lambda options: print(f"hello {options.name}") or 0)
