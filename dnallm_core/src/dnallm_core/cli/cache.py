"""List, verify or remove downloaded weights.

dnallm cache list              what lies in the shared caches and in your own
dnallm cache verify [MODEL…]   hash every file again; exit code 3 where one is damaged
dnallm cache remove MODEL…     remove models from your own cache
"""

from __future__ import annotations

import argparse
from typing import Any

from ..catalog import catalog
from ..errors import DnallmError, UnknownModelError
from ..weights import pins
from ..weights.holdings import Holding, damaged, holdings, remove
from ..weights.storage import model_folder, stores
from .output import print_json, print_table, say, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("action", choices=("list", "verify", "remove"))
    parser.add_argument("models", nargs="*", metavar="MODEL", help="ids, aliases or folder names")
    parser.add_argument("--all", action="store_true", help="remove: every model")
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove: also drop the recorded commit and hashes, so that the next download is a "
        "first one",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Do what was asked of the caches."""
    held = [each for store in stores() for each in holdings(store)]
    names = {_folder(name): name for name in options.models}
    known = {each.model for each in held}
    chosen = [each for each in held if not names or each.model in names]
    missing = [name for folder, name in names.items() if folder not in known]
    if options.action == "remove":
        if not names and not options.all:
            say("dnallm: name the models to remove, or say --all.")
            return 2
        return _remove(options, chosen, missing)
    if missing:
        raise UnknownModelError(
            missing[0], known, hint="It is not in the cache: `dnallm cache list` shows what is."
        )
    return _verify(options, chosen) if options.action == "verify" else _list(options, chosen)


def _folder(name: str) -> str:
    """The folder of a model by id or alias; any other name stands for a folder as it is."""
    try:
        return model_folder(catalog()[name].id)
    except DnallmError:
        return model_folder(name)


def _list(options: argparse.Namespace, chosen: list[Holding]) -> int:
    if options.json:
        print_json({"caches": _caches(), "models": [_entry(each) for each in chosen]})
        return 0
    for store in stores():
        say(f"{'shared cache' if store.shared else 'cache'}: {store.root}")
    rows = [
        (
            each.model,
            each.revision[:12],
            len(each.files),
            size(each.bytes),
            size(each.partial_bytes) if each.partial_bytes else "",
            "shared" if each.store.shared else "own",
            each.hub or "",
        )
        for each in chosen
    ]
    print_table(("model", "revision", "files", "size", "unfinished", "cache", "hub"), rows)
    return 0


def _verify(options: argparse.Namespace, chosen: list[Holding]) -> int:
    found = [(each, damaged(each)) for each in chosen]
    bad = sum(len(names) for _, names in found)
    if options.json:
        print_json({"models": [{**_entry(each), "damaged": names} for each, names in found]})
        return 3 if bad else 0
    for each, names in found:
        whole = "whole" if not names else f"DAMAGED: {', '.join(names)}"
        print(f"{each.model} {each.revision[:12]}: {len(each.files)} files, {whole}")
        if names:
            say(f"{each.folder}: `dnallm pull {each.model}` fetches damaged files again.")
    return 3 if bad else 0


def _remove(options: argparse.Namespace, chosen: list[Holding], missing: list[str]) -> int:
    freed = {}
    for each in chosen:
        if each.store.shared:
            say(f"{each.model} in {each.store.root} is shared: dnallm does not change it.")
        elif each.model not in freed:
            freed[each.model] = remove(each.store, each.model)
    forgotten = []
    if options.forget:
        hubs = {each.hub for each in chosen if each.hub} | {_hub(name) for name in options.models}
        forgotten = sorted(hub for hub in hubs if hub and pins.forget(hub))
    if options.json:
        print_json({"removed": freed, "missing": missing, "forgotten": forgotten})
    else:
        for model, count in freed.items():
            print(f"{model}: removed, {size(count)} free")
        for hub in forgotten:
            print(f"{hub}: what was recorded of it is forgotten")
    for name in missing:
        say(f"{name} is not in the cache.")
    return 0 if not missing or forgotten else 2


def _hub(name: str) -> str | None:
    try:
        return catalog()[name].weights.hub
    except DnallmError:
        return None


def _caches() -> list[dict[str, Any]]:
    return [{"folder": str(each.root), "shared": each.shared} for each in stores()]


def _entry(holding: Holding) -> dict[str, Any]:
    return {
        "id": holding.model,
        "revision": holding.revision,
        "hub": holding.hub,
        "folder": str(holding.folder),
        "shared": holding.store.shared,
        "bytes": holding.bytes,
        "partial_bytes": holding.partial_bytes,
        "files": [
            {
                "name": name,
                "bytes": receipt.bytes if receipt else None,
                "sha256": receipt.sha256 if receipt else None,
                "verified": receipt.verified if receipt else None,
            }
            for name, receipt in holding.files.items()
        ],
    }
