"""Draft a manifest for a published checkpoint, from its configuration and the heads of its files.

Reads config.json and the headers of safetensors files (by ranges, where they are on a hub): no
weights are downloaded and nothing of the repository runs. What a file cannot say is marked TODO.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, WeightsUnavailableError
from ..manifest.writing import value
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("checkpoint", help="a repository on the hub (owner/name), or a folder")
    parser.add_argument("--revision", help="commit, branch or tag (default: the newest commit)")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to stdout")
    parser.add_argument(
        "--json", action="store_true", help="print what was found as one JSON object"
    )


@dataclass
class Found:
    """What a checkpoint's files say. ``tensors``: name -> (dtype, shape)."""

    name: str
    hub: str | None = None
    revision: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    licence: str | None = None

    @property
    def parameters(self) -> int | None:
        """Numbers in floating tensors, or None where no header could be read."""
        sizes = [prod(shape) for dtype, shape in self.tensors.values() if dtype[0] in "FB"]
        return sum(sizes) or None


def run(options: argparse.Namespace) -> int:
    """Read, and write the draft."""
    folder = Path(options.checkpoint)
    found = _of_folder(folder) if folder.exists() else _of_hub(options.checkpoint, options.revision)
    if options.json:
        print_json(
            {
                "name": found.name,
                "hub": found.hub,
                "revision": found.revision,
                "parameters": found.parameters,
                "dtypes": sorted({dtype for dtype, _ in found.tensors.values()}),
                "config": found.config,
                "files": found.files,
                "tensors": {name: list(shape) for name, (_, shape) in found.tensors.items()},
            }
        )
        return 0
    text = draft(found)
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
        say(f"{options.output}: {text.count('TODO')} places to fill in are marked TODO.")
    else:
        print(text, end="")
    return 0


def draft(found: Found) -> str:
    """The manifest's text."""
    identifier = re.sub(r"[^a-z0-9]+", "-", found.name.lower()).strip("-") or "my-model"
    family = identifier.split("-")[0]
    causal = any("CausalLM" in each for each in found.config.get("architectures") or ())
    masked = any("MaskedLM" in each for each in found.config.get("architectures") or ())
    direction = '"causal"' if causal else '"bidirectional"' if masked else '"TODO"'
    objective = (
        '"causal-language-modelling"'
        if causal
        else '"masked-language-modelling"'
        if masked
        else '"TODO"'
    )
    size = found.config.get("vocab_size", "TODO")
    length = found.config.get("max_position_embeddings")
    settings = {k: v for k, v in found.config.items() if _is_setting(k, v)}
    weights: dict[str, Any] = {"hub": found.hub, "revision": found.revision, "files": found.files}
    if found.hub is None:
        weights = {"bundled": "TODO"}
    lines = [
        "# Drafted by `dnallm import`. TODO marks what no file says; every fact wants a source.",
        "schema = 1",
        'api = ">=1,<2"',
        "",
        f"[families.{family}]",
        f"title = {value(found.name)}",
        'architecture = "TODO"  # encoder-transformer, decoder-transformer, state-space, '
        "long-convolution, hybrid, convolutional",
        f"direction = {direction}  # from the names of its classes: check it",
        f"objective = {objective}",
        'implementation = "TODO_package.module:Class"  # '
        f"model_type {found.config.get('model_type', 'unknown')!r}",
        f'tokenizer = {{ kind = "TODO" }}  # {size} tokens',
        'scaling = { time = "TODO", memory = "TODO" }  # linear, n-log-n, quadratic',
        'tasks = ["embedding", "token-embedding"]  # TODO: what else it can be asked',
        "# resolution = TODO  # bp a token",
        '# trained_on = { domains = ["TODO"] }',
        "",
        f"[models.{identifier}]",
        f'family = "{family}"',
        f"aliases = {value([found.hub] if found.hub else [])}",
        f"parameters = {found.parameters:_}  # tensors as stored: tied ones may count twice"
        if found.parameters
        else "# parameters = TODO  # no safetensors header was found",
        f"# max_length = TODO  # bp; {length or 'no number of'} positions in its configuration",
        f"weights = {value(weights)}",
        f"licence = {{ id = {value(found.licence)} }}  # as its card says; commercial = TODO"
        if found.licence
        else "# licence = TODO",
        f"config = {value(settings)}",
        f"sources = {value([f'https://huggingface.co/{found.hub}'] if found.hub else ['TODO'])}",
    ]
    return "\n".join(lines) + "\n"


def _is_setting(name: str, content: Any) -> bool:
    outside = {"architectures", "auto_map", "_name_or_path", "transformers_version", "torch_dtype"}
    if name in outside or content is None:
        return False
    if isinstance(content, list):
        return all(isinstance(each, (str, int, float, bool)) for each in content)
    return isinstance(content, (str, int, float, bool, dict))


def _of_folder(path: Path) -> Found:
    from ..checkpoints import CheckpointFolder
    from ..checkpoints.tensors import read_header

    folder = CheckpointFolder(path)
    found = Found(name=path.resolve().name, config=folder.config)
    for file in folder.weight_files:
        found.files.append({"name": file.name, "bytes": file.stat().st_size})
        if file.suffix == ".safetensors":
            for name, entry in read_header(file).items():
                found.tensors[name] = (entry["dtype"], tuple(entry["shape"]))
    return found


def _of_hub(name: str, revision: str | None) -> Found:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise CheckpointError(
            f"{name!r} is neither a folder nor a repository (owner/name).",
        )
    import json

    from huggingface_hub import HfApi

    from ..weights.hub import endpoint

    api = HfApi(endpoint=endpoint())
    try:
        about = api.model_info(name, revision=revision, files_metadata=True)
        found = Found(name=name.split("/")[1], hub=name, revision=about.sha)
        for each in about.siblings or ():
            if re.search(r"\.(safetensors|bin|pt|pth|ckpt)$", each.rfilename):
                lfs = each.lfs
                sha = getattr(lfs, "sha256", None) if lfs else None
                file = {"name": each.rfilename, "bytes": each.size, "sha256": sha}
                found.files.append({key: one for key, one in file.items() if one})
        names = {each.rfilename for each in about.siblings or ()}
        if "config.json" in names:
            path = api.hf_hub_download(name, "config.json", revision=about.sha)
            found.config = json.loads(Path(path).read_text(encoding="utf-8"))
        if any(each["name"].endswith(".safetensors") for each in found.files):
            heads = api.get_safetensors_metadata(name, revision=about.sha)
            for head in heads.files_metadata.values():
                for tensor, entry in head.tensors.items():
                    found.tensors[tensor] = (entry.dtype, tuple(entry.shape))
        card = about.card_data
        found.licence = card.get("license") if card is not None else None
    except Exception as error:  # the library has a dozen kinds of its own
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsUnavailableError(
            f"{name} cannot be read: {why}",
            model=name,
            hint="Is the name right, and is there a connection?",
        ) from error
    if len({Path(each["name"]).suffix for each in found.files}) > 1:
        found.files = [each for each in found.files if each["name"].endswith(".safetensors")]
    return found
