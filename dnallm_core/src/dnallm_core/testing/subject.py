"""What checks are asked about: a plugin, a family in its example, a listed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import Catalog
from ..manifest.model import ModelManifest
from ..models.protocols import HasReceptiveField, PredictsRates, TakesAlignment
from ..plugins import InstalledPlugin, PluginProblem
from .promise import NotApplicable

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from ..models import Model
    from ..sequences.tokenizers import Tokenizer


@dataclass
class PluginSubject:
    """A plugin as it is installed. ``plugin`` is None where its manifest cannot be used."""

    name: str
    distribution: str
    version: str
    plugin: InstalledPlugin | None
    problems: tuple[PluginProblem, ...]
    zoo: Catalog

    @property
    def installed(self) -> InstalledPlugin:
        """The plugin, where there is one to ask."""
        if self.plugin is None:
            raise NotApplicable("its manifest cannot be read")
        return self.plugin

    @property
    def package(self) -> str:
        """Its top-level package."""
        return self.installed.path.parent.name

    @property
    def metadata(self) -> metadata.PackageMetadata:
        """What its distribution says of itself."""
        return metadata.metadata(self.distribution)


@dataclass
class FamilySubject:
    """A family, and a small network of it made from ``example_config`` and chance."""

    facts: ModelManifest
    network_attempts: list[str] = field(default_factory=list)

    @cached_property
    def implementation(self) -> type[Model]:
        """The class that the manifest names."""
        from ..loading import find_implementation

        return find_implementation(self.facts)

    def keeps(self, protocol: type) -> bool:
        """Whether the class inherits ``protocol``."""
        return protocol in self.implementation.__mro__

    @cached_property
    def config(self) -> PreTrainedConfig:
        """The family's example."""
        config = self.implementation.example_config(self.facts)
        if config is None:
            raise NotApplicable(
                f"{self.implementation.__name__} offers no example_config to run it by"
            )
        return config

    @cached_property
    def reference(self) -> PreTrainedModel:
        """The example made on the CPU by its own class."""
        from . import example

        return example.reference(self.implementation, self.config)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The example's checkpoint under the module's own names."""
        from . import example

        return example.stored(self.reference)

    @cached_property
    def model(self) -> Model:
        """The example as loading makes it: built on meta, filled strictly, in float32."""
        from . import example

        module = example.loaded(self.implementation, self.config, self.tensors)
        facts = replace(self.facts, id=self.facts.family)
        return self.implementation(facts, module, self.tokenizer_or_undecided)

    @cached_property
    def tokenizer_or_undecided(self) -> Tokenizer:
        """The manifest's tokenizer for the example's vocabulary."""
        from ..sequences.tokenizers import tokenizer_for

        tables = self.facts.tokenizer
        specs = tables if isinstance(tables, tuple) else (tables,)
        return tokenizer_for(specs, vocabulary_size=getattr(self.config, "vocab_size", None))

    @property
    def tokenizer(self) -> Tokenizer:
        """The same, where it can be used without a checkpoint's files."""
        from ..errors import DnallmError

        tokenizer = self.model.tokenizer
        try:
            tokenizer.encode("ACGT" * 8)
        except DnallmError as error:
            raise NotApplicable(f"its tokenizer needs a checkpoint's files: {error}") from error
        return tokenizer

    @cached_property
    def ids_of_bases(self) -> list[int]:
        """Ids that stand for bases."""
        try:
            encoding = self.tokenizer.encode(bases(600), special_tokens=False)
            return sorted(set(encoding.ids))
        except NotApplicable:
            return list(range(5, int(getattr(self.config, "vocab_size", 32))))

    @cached_property
    def length(self) -> int:
        """Tokens of an ordinary row: few, and enough for a network that does not pad."""
        if self.keeps(PredictsRates) and self.keeps(HasReceptiveField):
            return sum(self.model.receptive_field()) + 24  # type: ignore[attr-defined]
        return min(24, self.room)

    @property
    def room(self) -> int:
        """Tokens that the example takes at most."""
        declared = self.model.context_tokens
        return declared - 4 if isinstance(declared, int) and declared > 8 else 1 << 20

    def ids(self, length: int, *, rows: int = 1, seed: int = 0) -> Tensor:
        """Ids (rows, length) of bases by chance."""
        import torch

        chance = torch.Generator().manual_seed(seed)
        table = torch.tensor(self.ids_of_bases)
        return table[torch.randint(len(table), (rows, length), generator=chance)]

    def inputs(self, ids: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """``ids`` with whatever else the network reads."""
        found: dict[str, Any] = {"input_ids": ids}
        if mask is not None:
            found["attention_mask"] = mask
        if isinstance(self.model, TakesAlignment):
            species = self.model.aligned_species()
            texts = [bases(ids.shape[1], seed=7 + each) for each in range(species)]
            rows = self.model.encode_alignment(texts)
            found["aux_features"] = rows[None].expand(ids.shape[0], -1, -1)
        return found

    def call(self, ids: Tensor, mask: Tensor | None = None, **more: Any) -> Any:
        """The bare network's answer."""
        import torch

        with torch.no_grad():
            return self.model.module(**self.inputs(ids, mask), **more)

    def outputs(
        self, ids: Tensor, mask: Tensor | None = None, module: PreTrainedModel | None = None
    ) -> list[Tensor]:
        """What users see of each token: its state and, where there is a head, its logits.

        Each (rows, tokens, ...). ``module``: another network of the same shape.
        """
        import torch

        from ..models.protocols import Embeds, PredictsBases

        model = self.model
        own = model.module
        if module is not None:
            model.module = module
        try:
            with torch.no_grad():
                inputs = self.inputs(ids, mask)
                found = [model.token_states(inputs)] if isinstance(model, Embeds) else []
                if isinstance(model, PredictsBases):
                    found.append(model.token_logits(inputs))
        finally:
            model.module = own
        if not found:
            raise NotApplicable("it answers for no token")
        return [each.detach().clone() for each in found]

    def lengths(self, longest: int) -> tuple[int, int, int]:
        """Three lengths, each twice the one before, as long as the example takes up to ``longest``."""
        top = min(longest, self.room)
        power = 1 << (top.bit_length() - 1)
        if power < 32:
            raise NotApplicable(f"its example takes {self.room} tokens: too few to see a growth")
        return power // 4, power // 2, power


@dataclass
class ModelSubject:
    """A listed model, judged on its own settings, its weights being looked at only on request."""

    facts: ModelManifest
    family: FamilySubject
    folder: Path
    row: dict[str, Any]
    with_weights: bool = False

    @cached_property
    def config(self) -> PreTrainedConfig:
        """The network's configuration, from the manifest's settings."""
        if not self.facts.config and self.facts.is_bundled:
            from ..checkpoints import CheckpointFolder, open_tensors

            folder = CheckpointFolder(self.folder / str(self.facts.weights.bundled))
            return self.family.implementation.read_config(folder, {}, open_tensors(folder).shapes)
        if not self.facts.config:
            raise NotApplicable("the manifest has no settings of it")
        return self.family.implementation.read_config(None, self.facts.config, None)

    @cached_property
    def meta(self) -> PreTrainedModel:
        """The network on the meta device, at its real size."""
        from ..loading import build

        return build(self.family.implementation, self.config)

    @cached_property
    def parameters(self) -> int:
        """Distinct trained numbers of the network."""
        return sum(each.numel() for each in self.meta.parameters())


def bases(length: int, seed: int = 0) -> str:
    """A sequence by chance."""
    import random

    return "".join(random.Random(seed).choices("ACGT", k=length))


def changed(ids: Tensor, place: int, options: Sequence[int]) -> Tensor:
    """``ids`` with another id at ``place`` of every row."""
    new = ids.clone()
    for row in range(len(ids)):
        old = int(ids[row, place])
        new[row, place] = next(each for each in options if each != old)
    return new


def float_dtype(name: str) -> torch.dtype:
    """The torch dtype of a manifest's word."""
    from ..models.protocols import torch_dtype

    return torch_dtype(name)
