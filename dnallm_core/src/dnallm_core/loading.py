"""``load``: a model's id, or a family and a folder, becomes a ``Model`` that answers."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import hooks
from . import quantisation as quantising
from .catalog import Catalog, catalog
from .checkpoints import CheckpointFolder, fill, open_tensors
from .errors import PluginError, RequirementError, UnknownModelError
from .manifest.model import ModelManifest
from .models import Model
from .spreading import Spread
from .spreading import check as spreading_check

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel


def load(
    name: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    config: Mapping[str, Any] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool | None = None,
    check: bool = True,
    quantisation: str | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    offload_folder: str | os.PathLike[str] | None = None,
    zoo: Catalog | None = None,
) -> Model:
    """Load a model.

    ``name``: a model's id or alias; with ``weights`` (a folder in the layout that its authors
    publish) the name of a family first. ``config``:
    settings under the authors' argument names, where they publish no configuration file.
    ``device``: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``. ``dtype``:
    ``auto`` (float32 on a CPU; the authors' own where the device has it), ``float32``,
    ``bfloat16``, ``float16``. ``quantisation="int8"``: the weights of linear maps are kept in 8 bits
    (see ``quantisation``). ``device_map``: in place of ``device``, over several: ``auto`` or
    accelerate's table, what lies on disk going into ``offload_folder`` (see ``spreading``).
    ``check=False`` skips holding a new download against the authors' numbers.

    Raises UnknownModelError, PluginError, WeightsUnavailableError, IntegrityError, CheckpointError.
    """
    import torch

    zoo = zoo if zoo is not None else catalog()
    manifest = _manifest(zoo, name, from_folder=weights is not None)
    implementation = find_implementation(manifest)
    provenance: dict[str, Any] = {"model": manifest.id, "plugin": manifest.plugin}
    if weights is not None:
        path = Path(weights)
        provenance["weights"] = str(path)
    else:
        if config is not None:
            raise RequirementError(
                f"config= goes with weights=: the settings of {manifest.id} are its manifest's."
            )
        path, more = _located(manifest, offline)
        provenance.update(more)
    folder = CheckpointFolder(path)
    source = open_tensors(folder)
    arguments = dict(config or {})
    own_config = weights is None and bool(manifest.config)
    settings = implementation.read_config(
        None if own_config else folder,
        manifest.config if own_config else arguments,
        source.shapes,
    )
    if device_map is not None:
        device = _one_way(device, device_map, quantisation)
    target, number_format = placement(manifest, device, dtype)
    if quantisation is not None:
        quantising.check(quantisation)
    module = build(implementation, settings)
    spread = None
    if device_map is not None:
        spread = Spread(module, device_map, number_format, offload_folder)
        target = torch.device(spread.main)
    fill(
        module,
        source,
        implementation.key_rules(settings, source.shapes),
        dtype=number_format,
        # whole weights need not fit where the quantised ones go
        device=target if quantisation is None else torch.device("cpu"),
        float32_keys=implementation.float32_keys,
        put=None if spread is None else spread.put,
    )
    module.eval()
    if spread is not None:
        spread.finish(module)
        provenance["device_map"] = str(spread)
    if quantisation is not None:
        quantising.quantise(module, quantisation)
        module.to(target)
        provenance["quantisation"] = quantisation
    from .sequences.tokenizers import tokenizer_for

    specs = manifest.tokenizer if isinstance(manifest.tokenizer, tuple) else (manifest.tokenizer,)
    tokenizer = tokenizer_for(
        specs, folder=folder.path, vocabulary_size=getattr(settings, "vocab_size", None)
    )
    provenance.update(device=str(target), dtype=str(number_format).removeprefix("torch."))
    model = implementation(manifest, module, tokenizer, provenance=provenance)
    model.folder = folder.path
    if weights is None and check and not manifest.is_bundled:
        _held_to_the_authors(model, provenance)
    for _plugin, _answer in hooks.each("dnallm_loaded", model=model):
        pass
    return model


def _one_way(device: str, device_map: str | Mapping[str, Any], quantisation: str | None) -> str:
    """The device word that goes with a device map; RequirementError where settings exclude it."""
    spreading_check(device_map)
    if device != "auto":
        raise RequirementError(
            "Give a device, where one holds the network, or a device map, where several do.",
            requirement="device_map",
        )
    if quantisation is not None:
        raise RequirementError(
            "Weights in 8 bits lie on one device: give a quantisation or a device map, not both.",
            requirement="device_map",
        )
    on_gpus = isinstance(device_map, str) or any(
        each not in ("cpu", "disk") for each in device_map.values()
    )
    return "auto" if on_gpus else "cpu"


def build(implementation: type[Model], settings: PreTrainedConfig) -> PreTrainedModel:
    """The network of a configuration on the meta device: shapes without memory."""
    import torch

    with torch.device("meta"):
        module = implementation.build(settings)
    module.tie_weights()
    return module


def find_implementation(manifest: ModelManifest) -> type[Model]:
    """The class that a manifest names; every way in which it can fail is a PluginError."""
    if not manifest.installed:
        raise PluginError(
            f"{manifest.id} comes with {manifest.plugin}, which is not installed.",
            distribution=manifest.plugin,
            hint=f"Install it: {manifest.install}" if manifest.install else "",
        )
    module_name, _, class_name = manifest.implementation.partition(":")
    where = f"{manifest.plugin}, which implements {manifest.family}"
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "transformers"):
            raise PluginError(
                f"Running {manifest.id} needs {error.name}, which is not installed.",
                distribution=manifest.plugin,
                hint=f"pip install {error.name}",
            ) from error
        raise PluginError(
            f"{where}, cannot be imported: there is no module {error.name!r}.",
            distribution=manifest.plugin,
            hint="Reinstall the plugin, or report it to its authors.",
        ) from error
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{where}, cannot be imported: {type(error).__name__}: {error}.",
            distribution=manifest.plugin,
            hint="Report it to the plugin's authors.",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Model)):
        what = "has no such class" if found is None else "is no dnallm_core.models.Model"
        raise PluginError(
            f"{where}, names {manifest.implementation}, which {what}.",
            distribution=manifest.plugin,
            hint="Report it to the plugin's authors.",
        )
    return found


def _manifest(zoo: Catalog, name: str, *, from_folder: bool) -> ModelManifest:
    if from_folder:
        family = zoo.family(name)
        if family is not None:
            return family
        if name in zoo:
            family = zoo.family(zoo[name].family)
            if family is not None:
                return family
        raise UnknownModelError(name, [*zoo.families, *zoo])
    if name in zoo:
        return zoo[name]
    members = [key for key, row in zoo.rows.items() if row["family"] == name.lower()]
    if members:
        raise UnknownModelError(
            name,
            hint=f"{name} is a family. Its models: {', '.join(members[:12])}. "
            "Name one of them, or give weights=FOLDER.",
        )
    return zoo[name]  # raises, with the nearest names


def _located(manifest: ModelManifest, offline: bool | None) -> tuple[Path, dict[str, Any]]:
    for _plugin, answer in hooks.each("dnallm_weights", manifest=manifest):
        return Path(answer), {"weights": str(answer)}
    from .weights import locate

    files = locate(manifest, offline=offline)
    return files.folder, dict(files.provenance)


def placement(manifest: ModelManifest, device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """The device and the number format that two words mean for a model on this machine."""
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            device = "cuda"
        elif torch.backends.mps.is_available():
            device = "mps"
        else:
            device = "cpu"
    try:
        target = torch.device(device)
        if target.type not in ("meta", "cpu"):
            torch.empty(1, device=target)
    except (RuntimeError, AssertionError) as error:
        named = device.partition(":")[0] in (
            "cpu",
            "cuda",
            "mps",
        )  # torch lists what none has heard of
        reason = f": {str(error).splitlines()[0].rstrip('.')}" if named else ""
        raise RequirementError(
            f"There is no device {device!r} here{reason}.",
            requirement="device",
            hint='Use "auto", "cpu", "cuda", "cuda:1" or "mps".',
        ) from error
    formats = {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }
    if dtype == "auto":
        # bfloat16 halves the memory and is what large models were trained in; a CPU computes it slowly
        dtype = "bfloat16" if target.type == "cuda" and "bfloat16" in manifest.dtypes else "float32"
        if dtype == "bfloat16" and not torch.cuda.is_bf16_supported():
            dtype = "float32"
    if dtype not in formats:
        raise RequirementError(
            f"There is no dtype {dtype!r}.",
            requirement="dtype",
            hint=f'One of "auto", {", ".join(map(repr, formats))}.',
        )
    if dtype not in manifest.dtypes:
        warnings.warn(
            f"{manifest.id} is not declared sound in {dtype} "
            f"(declared: {', '.join(manifest.dtypes)}).",
            stacklevel=3,
        )
    return target, formats[dtype]


def _held_to_the_authors(model: Model, provenance: Mapping[str, Any]) -> None:
    if model.manifest.check is None:
        return
    from .weights.check import hold

    hold(model.manifest, provenance, lambda sequence: [float(x) for x in model.embed(sequence)[0]])
