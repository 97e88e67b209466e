"""``Model``: a loaded network with its manifest and tokenizer, and what a family must implement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..checkpoints import CheckpointFolder, KeyRules
from ..manifest.model import ModelManifest

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedModel

    from ..sequences.alignment import Alignment
    from ..sequences.tokenizers import Tokenizer
    from .embedding import TokenEmbeddings
    from .generation import Generated
    from .variants import Effect, VariantLike


class Model:
    """One family's implementation; an instance is one loaded checkpoint.

    A family subclasses this together with the protocols that its networks keep, and implements the
    class methods: they say how a checkpoint in its authors' layout becomes a network. The rest is
    the core's.

    ``module`` is the bare network in eval mode. It is called as ``module(input_ids=...,
    attention_mask=None, output_hidden_states=False)`` and returns what ``transformers`` networks
    return: ``last_hidden_state`` always, ``logits`` where there is a head, ``hidden_states`` on
    request (``[0]`` the embedding, one a block, ``[-1]`` what the head reads, after any final norm),
    ``pooler_output`` where the checkpoint stores a pooler. ``attention_mask`` is always accepted and
    never derived from pad ids; all ones equal none; where it is 0, the real positions come out as in
    the unpadded row, on whichever side the padding stands.
    """

    float32_keys: ClassVar[Sequence[str]] = ()
    """Patterns of module keys that stay float32 whatever the dtype asked for (poles, residues)."""

    pads: ClassVar[bool] = True
    """Whether rows of different length may share a batch (false where a mask cannot be honoured)."""

    folder: Path | None = None
    """The checkpoint that the network was read from."""

    has_told_of_losses: bool = False
    has_told_of_length: bool = False
    has_told_of_case: bool = False

    def __init__(
        self,
        manifest: ModelManifest,
        module: PreTrainedModel,
        tokenizer: Tokenizer,
        *,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.manifest = manifest
        self.module = module
        self.tokenizer = tokenizer
        self.provenance = dict(provenance or {})
        engine = getattr(module, "engine", None)
        if isinstance(engine, str):  # which of several kernels computes: a run records it
            self.provenance["engine"] = engine

    # --- what a family implements -------------------------------------------------------------

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> PreTrainedConfig:
        """The network's configuration.

        ``folder``: the checkpoint, whose own configuration file is read; None for a listed model,
        whose manifest's ``config`` then comes as ``arguments``, under its authors' names. Where the
        authors publish no file, ``arguments`` are what the caller gave. ``shapes``: the checkpoint's
        keys and their shapes, by which layouts with one configuration are told apart; None where no
        checkpoint is at hand (measuring, counting parameters).

        Raises CheckpointError in a sentence where settings are missing, unknown or impossible.
        """
        raise NotImplementedError

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network, uninitialised: the core calls this on the meta device, then fills it."""
        raise NotImplementedError

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """How the checkpoint's keys become the module's."""
        return KeyRules()

    @classmethod
    def example_config(cls, facts: ModelManifest) -> PreTrainedConfig | None:
        """A configuration as small as the network goes, by which the conformance kit runs it.

        ``facts``: what the family (its implementation may serve several) declares. Vocabulary and
        kind of network are the family's, everything else is as small as still shows what it does;
        a network with learned positions has some hundred, so that growth can be counted. None:
        the family offers no example, and nothing of it is proved by running.
        """
        return None

    # --- what a user asks ---------------------------------------------------------------------

    def embed(
        self,
        sequences: str | Sequence[str],
        *,
        pooling: str = "mean",
        layer: int = -1,
        both_strands: bool = False,
    ) -> NDArray[np.float32]:
        """Vectors (n, width) float32; see ``embedding.embed``."""
        from .embedding import embed

        return embed(self, sequences, pooling=pooling, layer=layer, both_strands=both_strands)

    def embed_tokens(self, sequence: str, *, layer: int = -1) -> TokenEmbeddings:
        """Vectors (tokens, width) and offsets of one sequence; see ``embedding.embed_tokens``."""
        from .embedding import embed_tokens

        return embed_tokens(self, sequence, layer=layer)

    def logits(
        self, sequences: str | Sequence[str], *, special_tokens: bool = True
    ) -> list[NDArray[np.float32]]:
        """Logits (tokens, vocabulary), one array a sequence; see ``likelihood.logits``."""
        from .likelihood import logits

        return logits(self, sequences, special_tokens=special_tokens)

    def score(
        self, sequences: str | Sequence[str], *, reduce: str = "mean", both_strands: bool = False
    ) -> NDArray[np.float64] | list[NDArray[np.float32]]:
        """(Pseudo-)log-likelihoods in nats; see ``likelihood.score``."""
        from .likelihood import score

        return score(self, sequences, reduce=reduce, both_strands=both_strands)

    def variant_effects(
        self,
        reference: str,
        variants: Iterable[VariantLike | tuple[int, str, str]],
        *,
        window: int | None = None,
        both_strands: bool = True,
        alignment: Alignment | None = None,
        contig: str = "",
        effect: Effect = "likelihood",
    ) -> NDArray[np.float32]:
        """Effects (n,), harmful negative; see ``variants.variant_effects``."""
        from .variants import variant_effects

        return variant_effects(
            self,
            reference,
            variants,
            window=window,
            both_strands=both_strands,
            alignment=alignment,
            contig=contig,
            effect=effect,
        )

    def generate(
        self, prompts: str | Sequence[str], *, max_new_bases: int, **settings: Any
    ) -> list[Generated]:
        """Continue prompts; see ``generation.generate``."""
        from .generation import generate

        return generate(self, prompts, max_new_bases=max_new_bases, **settings)

    # --- where it is --------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """The device that inputs are put on: that of the embedding."""
        return next(self.module.parameters()).device

    @property
    def context_tokens(self) -> int | None:
        """How many tokens the network's own configuration allows, where it says."""
        return getattr(self.module.config, "max_position_embeddings", None)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the network's weights."""
        return self.module.dtype
