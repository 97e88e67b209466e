"""A trained model on disk: the network, its head and ``model.json``, and how it is loaded again.

::

    DIR/model.json            parent, data, objective, figures, hashes of the files
    DIR/head.safetensors      the head
    DIR/network/              model.safetensors, config.json, and the parent's tokenizer files
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog import Catalog, catalog
from ..checkpoints import CheckpointFolder, KeyRules, fill, open_tensors
from ..errors import CheckpointError, IntegrityError, UnknownModelError
from ..loading import build, find_implementation, placement
from ..manifest.model import ModelManifest
from ..models import Model
from ..models.heads import Head, HeadedNetwork, Row
from ..tasks.run import file_digest
from .objectives import Objective
from .tokens import answer_bases

SCHEMA = 1
_TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip


class TrainedModel:
    """A fine-tuned model: ``predict`` answers; ``model`` is its network as any model of the zoo."""

    def __init__(self, network: HeadedNetwork, objective: Objective, facts: Mapping[str, Any]):
        self.network = network
        self.objective = objective
        self.facts = dict(facts)

    @property
    def model(self) -> Model:
        """The fine-tuned network, to embed with."""
        return self.network.model

    @property
    def classes(self) -> tuple[str, ...]:
        """What the columns of ``predict`` stand for."""
        return tuple(self.facts["classes"])

    def predict(
        self, sequences: str | Sequence[str], *, names: Sequence[str] | None = None, **limits: int
    ) -> Any:
        """Probabilities of the classes or labels, or values of the targets (n, classes).

        Of a model of single bases: a list with (bases, classes) of each sequence.
        """
        listed = [sequences] if isinstance(sequences, str) else list(sequences)
        rows = self.network.rows(listed, names)
        if self.network.each_token:
            return predict_bases(self.network, self.objective, rows, listed, **limits)
        return self.objective.predictions(self.network.outputs(rows, **limits))


def predict_bases(
    network: HeadedNetwork,
    objective: Objective,
    rows: Sequence[Row],
    sequences: Sequence[str],
    **limits: int,
) -> list[NDArray[np.float64]]:
    """Probabilities (bases, classes) of each sequence."""
    return [
        answer_bases(row["offsets"], objective.predictions(answer), len(sequence))
        for row, answer, sequence in zip(
            rows, network.answers(rows, **limits), sequences, strict=True
        )
    ]


def save_trained(
    folder: Path, network: HeadedNetwork, objective: Objective, facts: Mapping[str, Any]
) -> None:
    """Write a trained model into ``folder``; what is no safetensors file is JSON or text."""
    from safetensors.torch import save_file

    inner = folder / "network"
    inner.mkdir(parents=True, exist_ok=True)
    model = network.model
    save_parameters(model.module, inner / "model.safetensors")
    head = {name: each.detach().cpu().clone() for name, each in network.head.state_dict().items()}
    save_file(head, folder / "head.safetensors")
    settings = model.module.config
    (inner / "config.json").write_text(settings.to_json_string(use_diff=False))
    for name in _TOKENIZER_FILES:
        if model.folder is not None and (model.folder / name).is_file():
            shutil.copyfile(model.folder / name, inner / name)
    kind = type(settings)
    content = {
        "schema": SCHEMA,
        "family": model.manifest.family,
        "parent": dict(model.provenance),
        "config_class": f"{kind.__module__}:{kind.__qualname__}",
        "head": {"width": network.head.linear.in_features},
        "layer": network.layer,
        "both_strands": network.both_strands,
        "objective": objective.to_json(),
        **facts,
        "files": {
            name: file_digest(folder / name)
            for name in ("network/model.safetensors", "head.safetensors")
        },
    }
    (folder / "model.json").write_text(json.dumps(content, indent=1, default=str) + "\n")


def save_parameters(module: Any, path: Path, *, trained_alone: bool = False) -> None:
    """Write what a module stores, each tensor once, or of it what is being trained."""
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen and (tensor.requires_grad or not trained_alone):
            seen.add(id(tensor))
            tensors[name] = tensor.detach().contiguous().cpu()
    save_file(tensors, path)


def load_parameters(module: Any, path: Path) -> None:
    """Put back what ``save_parameters`` wrote, in place."""
    from safetensors import safe_open

    there = module.state_dict()
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            there[name].copy_(file.get_tensor(name))


def load_trained(
    path: str | os.PathLike[str],
    *,
    device: str = "auto",
    dtype: str = "float32",
    zoo: Catalog | None = None,
) -> TrainedModel:
    """Load a model that ``dnallm train`` wrote.

    Raises CheckpointError where the folder is none, IntegrityError where a file has changed,
    PluginError where the parent's plugin is missing.
    """
    from safetensors.torch import load_file

    folder = Path(path)
    facts = _facts(folder)
    for name, digest in facts["files"].items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CheckpointError(
                f"{folder / 'model.json'} names a file outside the folder: {name}."
            )
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} lacks {name}.")
        if file_digest(folder / name) != digest:
            raise IntegrityError(
                f"{folder / name} is not the file that training wrote.", file=str(folder / name)
            )
    manifest = _manifest(zoo if zoo is not None else catalog(), facts)
    implementation = find_implementation(manifest)
    inner = CheckpointFolder(folder / "network")
    settings = _settings(inner, facts["config_class"], manifest)
    target, number_format = placement(manifest, device, dtype)
    module = build(implementation, settings)
    source = open_tensors(inner)
    # a tensor that stands under two names was written once, under the first
    rules = KeyRules(tied=implementation.key_rules(settings, source.shapes).tied)
    fill(
        module,
        source,
        rules,
        dtype=number_format,
        device=target,
        float32_keys=implementation.float32_keys,
    )
    module.eval()
    from ..sequences.tokenizers import tokenizer_for

    specs = manifest.tokenizer if isinstance(manifest.tokenizer, tuple) else (manifest.tokenizer,)
    tokenizer = tokenizer_for(
        specs, folder=inner.path, vocabulary_size=getattr(settings, "vocab_size", None)
    )
    provenance = {
        "model": manifest.id,
        "plugin": manifest.plugin,
        "trained": facts["files"],
        "parent": facts["parent"],
        "device": str(target),
        "dtype": str(number_format).removeprefix("torch."),
    }
    model = implementation(manifest, module, tokenizer, provenance=provenance)
    model.folder = inner.path
    head = Head(facts["head"]["width"], len(facts["classes"]))
    head.load_state_dict(load_file(folder / "head.safetensors"))
    network = HeadedNetwork(
        model,
        head.to(target),
        layer=facts["layer"],
        both_strands=facts["both_strands"],
        each_token=facts["objective"]["kind"] == "token-classification",
    )
    return TrainedModel(network.eval(), Objective(**facts["objective"]), facts)


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no trained model: there is no model.json in it.",
            hint="Give the folder that `dnallm train -o` wrote.",
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    wanted = ("family", "parent", "config_class", "head", "objective", "classes", "files")
    lacking = [each for each in wanted if not isinstance(facts, dict) or each not in facts]
    if lacking:
        raise CheckpointError(f"{path} lacks {', '.join(lacking)}.")
    if facts.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path} is of schema {facts.get('schema')}; this dnallm reads {SCHEMA}.",
            hint="Update dnallm-core.",
        )
    return dict(facts)


def _manifest(zoo: Catalog, facts: Mapping[str, Any]) -> ModelManifest:
    parent = facts["parent"].get("model", facts["family"])
    if parent in zoo:
        return zoo[parent]
    family = zoo.family(facts["family"])
    if family is None:
        raise UnknownModelError(
            facts["family"],
            zoo.families,
            hint="Install the plugin that the model was trained with.",
        )
    return family


def _settings(folder: CheckpointFolder, name: str, manifest: ModelManifest) -> Any:
    """The configuration, of a class that the plugin or transformers holds, and of no other."""
    from transformers import PreTrainedConfig

    module_name, _, class_name = name.partition(":")
    package = module_name.split(".")[0]
    if package not in ("transformers", manifest.implementation.split(".")[0].split(":")[0]):
        raise CheckpointError(
            f"{folder.path} asks for code of {package}, which its model does not come from."
        )
    found: Any = getattr(importlib.import_module(module_name), class_name, None)
    if not (isinstance(found, type) and issubclass(found, PreTrainedConfig)):
        raise CheckpointError(f"{folder.path}: {name} is no configuration.")
    configuration: Any = found
    return configuration.from_dict(folder.config)
