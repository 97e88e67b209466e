"""The few hooks of the ``dnallm.plugins`` entry-point group, and how they are called safely.

Most of a plugin is data and plain classes. A hook exists only where several plugins may answer or
observe; each is called one plugin at a time, so that a broken one spoils nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from .plugins import PluginProblem, _allowed, _origin

if TYPE_CHECKING:
    from .manifest.model import ModelManifest
    from .models import Model
    from .resources import Device

GROUP = "dnallm.plugins"
hookspec = pluggy.HookspecMarker("dnallm")
hookimpl = pluggy.HookimplMarker("dnallm")


class Specifications:
    """What a module named by a ``dnallm.plugins`` entry point may implement."""

    @hookspec
    def dnallm_commands(self) -> dict[str, tuple[str, Callable[[argparse.ArgumentParser], Any]]]:
        """Further commands: name -> (one line of help, a function that fills the parser).

        The function sets ``parser.set_defaults(run=...)``; ``run(arguments)`` returns the exit code.
        """
        raise NotImplementedError

    @hookspec
    def dnallm_devices(self) -> list[Device]:
        """Accelerators that the core's own probes do not see."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def dnallm_weights(self, manifest: ModelManifest) -> Path | None:
        """A folder that already holds a model's checkpoint (a site's store), or None."""
        raise NotImplementedError

    @hookspec
    def dnallm_loaded(self, model: Model) -> None:
        """Called with each model after it was loaded, before its user gets it."""
        raise NotImplementedError


@lru_cache(maxsize=1)
def manager() -> tuple[pluggy.PluginManager, tuple[PluginProblem, ...]]:
    """The loaded hook modules, and what went wrong with the others."""
    made = pluggy.PluginManager("dnallm")
    made.add_hookspecs(Specifications)
    problems = []
    entries = sorted(
        metadata.entry_points(group=GROUP), key=lambda entry: (_origin(entry)[0], entry.name)
    )
    for entry in entries:
        distribution, version = _origin(entry)
        if not _allowed(entry.name, distribution):
            continue
        name = f"{distribution}:{entry.name}"
        try:
            module = entry.load()
            made.register(module, name=name)
            made.check_pending()
        except (Exception, SystemExit) as error:
            if made.get_plugin(name) is not None:
                made.unregister(name=name)
            problems.append(
                PluginProblem(
                    distribution,
                    version,
                    "hooks",
                    f"its hooks cannot be loaded: {type(error).__name__}: {error}.",
                )
            )
    return made, tuple(problems)


def each(hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """(plugin, answer) of every plugin that implements ``hook`` and does not fail at it."""
    made, _ = manager()
    everyone = [plugin for _, plugin in made.list_name_plugin()]
    for implementation in getattr(made.hook, hook).get_hookimpls():
        others = [plugin for plugin in everyone if plugin is not implementation.plugin]
        caller = made.subset_hook_caller(hook, others)
        try:
            answer = caller(**arguments)
        except Exception as error:  # one plugin's failure is its own
            import warnings

            warnings.warn(
                f"{implementation.plugin_name} failed in {hook}: {type(error).__name__}: {error}",
                stacklevel=2,
            )
            continue
        if isinstance(answer, list) and not made.hook.__dict__[hook].spec.opts.get("firstresult"):
            for one in answer:
                yield implementation.plugin_name, one
        elif answer is not None:
            yield implementation.plugin_name, answer
