"""The ``dnallm`` command: finds the subcommand, imports it when it is called, explains failures."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from ..errors import DnallmError, RequirementError, did_you_mean, nearest

# name -> (module, one line of help); a module is imported when its command is called
COMMANDS: dict[str, tuple[str, str]] = {
    "models": ("models", "list models, installed and known, by what they can do"),
    "show": ("show", "show everything that is known of one model"),
    "select": ("select", "rank the models that fit a task and this machine, and say why"),
    "compare": ("compare", "hold models against one another"),
    "plugins": ("plugins", "list installed plugins and what is wrong with them"),
    "doctor": ("doctor", "try every plugin and this machine, and say what is broken"),
    "pull": ("pull", "download and verify weights"),
    "cache": ("cache", "list, verify or remove downloaded weights"),
    "embed": ("embed", "embed sequences"),
    "logits": ("logits", "write logits of sequences"),
    "score": ("score", "score sequences by their likelihood"),
    "variants": ("variants", "score variants"),
    "scan": ("scan", "score every substitution of a region"),
    "attribute": ("attribute", "say which bases an answer rests on"),
    "generate": ("generate", "generate sequences"),
    "plan": ("plan", "a run on paper: shards, device-hours, bytes written"),
    "merge": ("merge", "join the shards of a run"),
    "rerun": ("rerun", "repeat the run that made an output"),
    "probe": ("probe", "train a probe on frozen embeddings"),
    "train": ("train", "fine-tune a model on labelled sequences"),
    "pretrain": ("pretrain", "train a network from nothing on a genome"),
    "classify": ("classify", "predict with a fine-tuned model"),
    "measure": ("measure", "measure what a model costs on this machine"),
    "check": ("check", "hold a plugin to what it declares"),
    "new": ("new", "start a plugin"),
    "import": ("import_", "draft a manifest for a published checkpoint"),
    "registry": ("registry", "validate and add registry rows"),
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is a sentence with the nearest flag, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.removeprefix("dnallm ")
        typed = message.removeprefix("unrecognized arguments: ").split(" ")[0]
        if message.startswith("unrecognized arguments: "):
            flags = [each for each in self._option_string_actions if each.startswith("--")]
            near = nearest(typed.partition("=")[0], flags)
            message = f"{name} does not take {typed!r}"
        else:
            near = ()
            message = f"{name}: {message}"
        raise RequirementError(
            f"{message.rstrip('.')}.",
            hint=did_you_mean(near) or f"`{self.prog} --help` lists what it takes.",
        )


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code (see ``DnallmError.exit_code``)."""
    warnings.showwarning = _said  # a sentence, without the line of code that it came from
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _said(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if category is UserWarning:  # ours; a library's notes to programmers are not for users
        sys.stderr.write(f"dnallm: {message}\n")


def run(arguments: list[str]) -> int:
    """Run the command in this process and return its exit code."""
    debug = "--debug" in arguments
    arguments = [each for each in arguments if each != "--debug"]
    try:
        return dispatch(arguments)
    except DnallmError as error:
        if debug:
            raise
        sys.stderr.write(f"dnallm: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("dnallm: interrupted.\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        sys.stderr.write(f"dnallm: {_explained(error)}\n")
        return 3 if error.errno in (28, 122) else 2  # no space left, quota exceeded
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(
            f"dnallm: this is a bug of dnallm: {type(error).__name__}: {error}\n"
            "Run the command again with --debug and report what it prints.\n"
        )
        return 1


def dispatch(arguments: list[str]) -> int:
    """Run one command line; errors come out as they are."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        from .. import __version__

        sys.stdout.write(f"dnallm {__version__}\n")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        return _added(name, rest)
    module = importlib.import_module(f"{__package__}.{COMMANDS[name][0]}")
    parser = _Parser(
        prog=f"dnallm {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return _parsed(parser, rest, module.run, name)


def _parsed(
    parser: argparse.ArgumentParser, rest: list[str], run_command: Any, name: str = ""
) -> int:
    try:
        try:  # an optional input may stand anywhere among the flags
            options = parser.parse_intermixed_args(rest)
        except TypeError:  # not where a command has commands of its own
            options = parser.parse_args(rest)
    except SystemExit as stop:  # argparse has printed the help
        return 2 if stop.code else 0
    options.command_line = [name, *rest]
    return int((run_command or options.run)(options) or 0)


def _added(name: str, rest: list[str]) -> int:
    """A command that a plugin adds, or the nearest that exists."""
    from .. import hooks

    offered: dict[str, tuple[str, Any]] = {}
    for _plugin, commands in hooks.each("dnallm_commands"):
        offered.update(commands)
    if name in offered:
        summary, fill = offered[name]
        parser = _Parser(prog=f"dnallm {name}", description=summary, allow_abbrev=False)
        fill(parser)
        return _parsed(parser, rest, None)
    close = did_you_mean(nearest(name, [*COMMANDS, *offered]))
    sys.stderr.write(f"dnallm: there is no command {name!r}. {close or 'See dnallm --help.'}\n")
    return 2


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "usage: dnallm COMMAND ...",
        "",
        "A zoo of DNA language models: find the one that fits, and run it.",
        "",
        *(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()),
        "",
        "`dnallm COMMAND --help` explains a command. --debug shows the traceback of a failure.",
    ]
    return "\n".join(lines) + "\n"


def _explained(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or str(error)
    hint = " Free some space, or write elsewhere." if error.errno in (28, 122) else ""
    return f"{where}{reason}.{hint}"


if __name__ == "__main__":
    main()
