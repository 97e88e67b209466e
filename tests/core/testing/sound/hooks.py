"""One further command."""

from dnallm_core.hooks import hookimpl


@hookimpl
def dnallm_commands():
    return {"sound": ("say that all is well", lambda parser: parser.set_defaults(run=lambda _: 0))}
