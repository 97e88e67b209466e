"""Caduceus: bidirectional Mamba for DNA, Ph and PS (arXiv 2403.03234), from config to heads.

Ph sees one strand and was trained with reverse complements mixed in. PS (``rcps``) runs one set of
weights along both strands and is equivariant: the hidden states of a reverse complement are those
of the sequence with positions and channels flipped, the logits those with positions flipped and
bases complemented. Module and parameter names are the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from dnallm_core.checkpoints import CheckpointFolder, KeyRules
from dnallm_core.errors import CheckpointError
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.models.model import Model
from dnallm_core.models.protocols import Embeds, PredictsBases
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

from .bidirectional import BiMamba, BothStrands, turned
from .mamba import Mamba, MambaSettings, at_once
from .mamba2 import Mamba2, Mamba2Settings
from .rms_norm import rms_norm
from .scan import engine_name


class CaduceusConfig(PreTrainedConfig):
    """The authors' ``config.json``, with their defaults."""

    model_type = "caduceus"

    def __init__(
        self,
        d_model: int = 256,
        n_layer: int = 4,
        vocab_size: int = 12,
        ssm_cfg: Mapping[str, Any] | None = None,
        rms_norm: bool = True,
        residual_in_fp32: bool = False,
        fused_add_norm: bool = True,
        pad_vocab_size_multiple: int = 8,
        norm_epsilon: float = 1e-5,
        initializer_cfg: Mapping[str, Any] | None = None,
        bidirectional: bool = True,
        bidirectional_strategy: str | None = "add",
        bidirectional_weight_tie: bool = True,
        rcps: bool = False,
        complement_map: Mapping[Any, int] | None = None,
        **more: Any,
    ) -> None:
        self.d_model = d_model
        self.n_layer = n_layer
        self.vocab_size = -(-vocab_size // pad_vocab_size_multiple) * pad_vocab_size_multiple
        self.ssm_cfg = dict(ssm_cfg or {})
        self.rms_norm = rms_norm
        self.residual_in_fp32 = residual_in_fp32
        self.fused_add_norm = fused_add_norm
        self.pad_vocab_size_multiple = pad_vocab_size_multiple
        self.norm_epsilon = norm_epsilon
        self.initializer_cfg = {"initializer_range": 0.02, **(initializer_cfg or {})}
        self.bidirectional = bidirectional
        self.bidirectional_strategy = bidirectional_strategy or "add"
        self.bidirectional_weight_tie = bidirectional_weight_tie
        self.rcps = rcps
        named = {int(key): value for key, value in (complement_map or {}).items()}
        self.complement_map = {each: named.get(each, each) for each in range(self.vocab_size)}
        more.setdefault("tie_word_embeddings", True)
        if not 0 <= (more.get("pad_token_id") or 0) < self.vocab_size:
            more["pad_token_id"] = None  # PlantCaduceus publishes -100: no token
        super().__init__(**more)

    @property
    def hidden_size(self) -> int:
        """Channels of the hidden states: both strands' with ``rcps``."""
        return self.d_model * (2 if self.rcps else 1)

    @property
    def num_hidden_layers(self) -> int:
        """Blocks."""
        return self.n_layer


class CaduceusNorm(nn.Module):
    """RMSNorm, or LayerNorm where ``rms_norm`` is false; computed in float32."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.epsilon = config.norm_epsilon
        self.weight = nn.Parameter(torch.ones(config.d_model))
        self.bias = None if config.rms_norm else nn.Parameter(torch.zeros(config.d_model))

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., d_model) -> the same, in the dtype of the weight."""
        weight = self.weight.float()
        if self.bias is None:
            normed = rms_norm(hidden.float(), weight, self.epsilon)
        else:
            bias = self.bias.float()
            normed = F.layer_norm(hidden.float(), weight.shape, weight, bias, self.epsilon)
        return normed.to(self.weight.dtype)


class StrandedEmbedding(nn.Module):
    """RCPSEmbedding: a base's state for its strand, its complement's for the other."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.complement_map: Tensor
        self.register_buffer("complement_map", torch.tensor(list(config.complement_map.values())))

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, length) -> (batch, length, 2 d_model), the second half with channels flipped."""
        own, other = self.embedding(ids), self.embedding(self.complement_map[ids]).flip(-1)
        return torch.cat([own, other], dim=-1)


class CaduceusEmbeddings(nn.Module):
    """Token ids -> states (batch, length, d_model), twice as wide with ``rcps``."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.word_embeddings: nn.Module = (
            StrandedEmbedding(config)
            if config.rcps
            else nn.Embedding(config.vocab_size, config.d_model)
        )

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, length) -> (batch, length, width)."""
        states: Tensor = self.word_embeddings(ids)
        return states


class CaduceusBlock(GradientCheckpointingLayer):
    """Norm, then mixer, added to the stream (Ph)."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.residual_in_fp32 = config.residual_in_fp32
        self.mixer = make_mixer(config)
        self.norm = CaduceusNorm(config)

    def forward(self, stream: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, d_model) -> the same."""
        mixed = self.mixer(self.norm(stream), mask)
        return (stream.float() if self.residual_in_fp32 else stream) + mixed


class StrandedBlock(GradientCheckpointingLayer):
    """RCPSMambaBlock: one norm and one mixer for both strands (PS).

    The authors' fused branch (``fused_add_norm``) exchanges the strands before the norm, in every
    block; their weights were trained so. The unfused branch does not.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.residual_in_fp32 = config.residual_in_fp32
        self.exchanges = config.fused_add_norm
        self.mixer = BothStrands(make_mixer(config))
        self.norm = CaduceusNorm(config)

    def forward(
        self, own: Tensor, other: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both strands' (batch, length, d_model), in the first's orientation -> the same."""
        if self.exchanges:
            own, other = other, own
        if own[..., 0].numel() > at_once(own):  # one strand after the other: half the memory
            turned_mask = None if mask is None else mask.flip(-1)
            mixed = (
                self.mixer.submodule(self.norm(own), mask),
                self.mixer.submodule(self.norm(turned(other)), turned_mask),
            )
        else:
            mixed = self.mixer(self.norm(own), self.norm(turned(other)), mask)
        if self.residual_in_fp32:
            own, other = own.float(), other.float()
        return own + mixed[0], other + turned(mixed[1])


class StrandedHead(nn.Module):
    """RCPSLMHead: a base's logit is its own from one strand and its complement's from the other."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.complement_map: Tensor
        self.register_buffer("complement_map", torch.tensor(list(config.complement_map.values())))

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, length, 2 d_model) -> (batch, length, vocabulary)."""
        own, other = hidden.chunk(2, dim=-1)
        return self.lm_head(own) + self.lm_head(other.flip(-1))[..., self.complement_map]


class CaduceusBackbone(nn.Module):
    """Embedding, blocks, final norm."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.rcps = config.rcps
        self.embeddings = CaduceusEmbeddings(config)
        block = StrandedBlock if config.rcps else CaduceusBlock
        self.layers = nn.ModuleList([block(config) for _ in range(config.n_layer)])
        self.norm_f = CaduceusNorm(config)

    def forward(self, embedded: Tensor, mask: Tensor | None, keep: bool) -> list[Tensor]:
        """States after the embedding and each block if ``keep``; the last after the final norm."""
        stream = embedded.chunk(2, dim=-1) if self.rcps else (embedded,)
        kept = [embedded] if keep else []
        for layer in self.layers:
            out = layer(*stream, mask)
            stream = out if self.rcps else (out,)
            if keep:
                kept.append(torch.cat(stream, dim=-1))
        normed = [self.norm_f(stream[0])]
        if self.rcps:
            normed.append(self.norm_f(stream[1].flip(-1)).flip(-1))
        return [*kept[:-1], torch.cat(normed, dim=-1) if self.rcps else normed[0]]


class CaduceusPreTrainedModel(PreTrainedModel):
    """What every Caduceus network shares: initial values, names, abilities."""

    config_class = CaduceusConfig
    base_model_prefix = "caduceus"
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[Sequence[str]] = ["CaduceusBlock", "StrandedBlock"]

    @property
    def engine(self) -> str:
        """The engine that runs the scan where this network lies now."""
        return engine_name(self.device)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        deviation = self.config.initializer_cfg["initializer_range"]
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=deviation)
        elif isinstance(module, CaduceusNorm):
            init.ones_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):
            init.kaiming_uniform_(module.weight, a=5**0.5)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, Mamba | Mamba2):
            module.initialize()
        elif isinstance(module, StrandedEmbedding | StrandedHead):
            table = torch.tensor(list(self.config.complement_map.values()))
            init.copy_(module.complement_map, table)


class CaduceusModel(CaduceusPreTrainedModel):
    """The network without a head."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.backbone = CaduceusBackbone(config)
        self.gradient_checkpointing = False
        self._tied_weights_keys = tied_keys(config, "")
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding table."""
        name = "word_embeddings.embedding" if self.config.rcps else "word_embeddings"
        return self.backbone.embeddings.get_submodule(name)

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Put another embedding table in place."""
        name = "word_embeddings.embedding" if self.config.rcps else "word_embeddings"
        self.backbone.embeddings.set_submodule(name, value)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> BaseModelOutput:
        """(batch, length) ids -> states (batch, length, width; both strands' with ``rcps``)."""
        embedded = self.backbone.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        mask = None if attention_mask is None else attention_mask.to(torch.float32)
        states = self.backbone(embedded, mask, bool(output_hidden_states))
        return BaseModelOutput(
            last_hidden_state=states[-1],
            hidden_states=tuple(states) if output_hidden_states else None,
        )


class CaduceusForMaskedLM(CaduceusPreTrainedModel):
    """The network with the head that names the base behind each position."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.caduceus = CaduceusModel(config)
        if config.rcps:
            self.lm_head: nn.Module = StrandedHead(config)
        else:
            self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self._tied_weights_keys = tied_keys(config, "caduceus.")
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The table that the logits are made with."""
        return self.get_submodule("lm_head.lm_head" if self.config.rcps else "lm_head")

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Put another output table in place."""
        self.set_submodule("lm_head.lm_head" if self.config.rcps else "lm_head", value)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> MaskedLMOutput:
        """As ``CaduceusModel``, and logits (batch, length, vocabulary); labels of -100 don't count."""
        out = self.caduceus(
            input_ids=input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
        )
        logits = self.lm_head(out.last_hidden_state).float()
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        result = MaskedLMOutput(loss=loss, logits=logits, hidden_states=out.hidden_states)
        result["last_hidden_state"] = out.last_hidden_state
        return result


def make_mixer(config: CaduceusConfig) -> nn.Module:
    """The mixer that ``ssm_cfg`` describes, in both directions."""
    second = config.ssm_cfg.get("layer") == "Mamba2"
    reader = Mamba2Settings if second else MambaSettings
    return BiMamba(
        Mamba2 if second else Mamba,
        reader.read(config.d_model, config.ssm_cfg),
        config.bidirectional,
        config.bidirectional_strategy,
        config.bidirectional_weight_tie,
    )


def tied_keys(config: CaduceusConfig, prefix: str) -> dict[str, str]:
    """Names of one tensor each, as checkpoints may store them: copy -> original."""
    tied = {}
    if config.bidirectional and config.bidirectional_weight_tie:
        inner = "mixer.submodule" if config.rcps else "mixer"
        for layer in range(config.n_layer):
            for leaf in ("in_proj.weight", "out_proj.weight"):
                mixer = f"{prefix}backbone.layers.{layer}.{inner}"
                tied[f"{mixer}.mamba_rev.{leaf}"] = f"{mixer}.mamba_fwd.{leaf}"
    if prefix and config.tie_word_embeddings:
        head, table = ("lm_head.lm_head", ".embedding") if config.rcps else ("lm_head", "")
        embeddings = f"{prefix}backbone.embeddings.word_embeddings{table}"
        tied[f"{head}.weight"] = f"{embeddings}.weight"
    return tied


class Caduceus(PredictsBases, Embeds, Model):
    """Caduceus Ph and PS as the authors publish them."""

    mixer: ClassVar[str] = "Mamba1"
    mixer_settings: ClassVar[frozenset[str]] = frozenset(
        {"bias", "conv_bias", "d_conv", "d_state", "dt_init", "dt_init_floor", "dt_max", "dt_min"}
        | {"dt_rank", "dt_scale", "expand", "layer", "use_fast_path"}
    )
    example_letters: ClassVar[tuple[int, int, int, int]] = (7, 8, 9, 10)  # ids of A, C, G, T
    example_mixer: ClassVar[Mapping[str, Any]] = {}
    elsewhere: ClassVar[str] = "A checkpoint with Mamba-2 mixers is of the family plantcad2."

    @classmethod
    def read_config(
        cls,
        folder: CheckpointFolder | None,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]] | None,
    ) -> CaduceusConfig:
        """From the authors' ``config.json``, or the same settings in a manifest."""
        published = {**(folder.config if folder else {}), **arguments}
        needed = [name for name in ("d_model", "n_layer", "vocab_size") if name not in published]
        if needed:
            raise CheckpointError(
                f"The configuration lacks {', '.join(needed)}.",
                hint="A checkpoint of this family is a folder with its authors' config.json.",
            )
        config = CaduceusConfig(**_without_code(published))
        config.ssm_cfg.setdefault("layer", cls.mixer)
        cls.check(config, shapes)
        return config

    @classmethod
    def example_config(cls, facts: ModelManifest) -> CaduceusConfig:
        """Two narrow layers that read both strands, over eight or sixteen tokens."""
        letters = cls.example_letters
        size = -(-(max(letters) + 2) // 8) * 8
        complement = {each: each for each in range(size)}
        complement.update(zip(letters, reversed(letters), strict=True))
        return cls.read_config(
            None,
            {
                "d_model": 16,
                "n_layer": 2,
                "vocab_size": size,
                "rcps": facts.reverse_complement == "equivariant",
                "ssm_cfg": {"d_state": 8, "d_conv": 4, "expand": 2, **cls.example_mixer},
                "complement_map": complement,
            },
            None,
        )

    @classmethod
    def check(cls, config: CaduceusConfig, shapes: Mapping[str, tuple[int, ...]] | None) -> None:
        """CheckpointError where the settings or the tensors are those of another network."""
        foreign = sorted(set(config.ssm_cfg) - cls.mixer_settings)
        second = any(key.endswith(".dt_bias") for key in shapes or ())
        if foreign or config.ssm_cfg["layer"] != cls.mixer:
            what = ", ".join(foreign) or f"layer {config.ssm_cfg['layer']!r}"
            raise CheckpointError(
                f"ssm_cfg describes another mixer than {cls.mixer}: {what}.", hint=cls.elsewhere
            )
        if shapes and second != (cls.mixer == "Mamba2"):
            raise CheckpointError(
                f"The tensors are those of another mixer than {cls.mixer}.", hint=cls.elsewhere
            )
        directions = {"mamba_fwd", "mamba_rev"}
        there = {each for each in directions if any(f".{each}." in key for key in shapes or ())}
        if config.bidirectional and len(there) == 1:
            raise CheckpointError(
                f"The tensors are of one direction alone ({there.pop()}), and the configuration's "
                "network reads in both.",
                hint="Half of the checkpoint is missing; get it again from its authors.",
            )
        if config.bidirectional_strategy not in ("add", "ew_multiply"):
            raise CheckpointError(
                f"bidirectional_strategy is {config.bidirectional_strategy!r}; "
                'the authors\' code has "add" and "ew_multiply".'
            )

    def token_states(self, inputs: Mapping[str, Tensor], layer: int = -1) -> Tensor:
        """As ``Embeds``, with the special tokens round a sequence ([SEP]) hidden from the network.

        The vectors that the authors' code gave for the published weights were made without them.
        """
        tokenizer = self.tokenizer
        ids = inputs["input_ids"]
        seen = {tokenizer.mask_id, tokenizer.unknown_id, tokenizer.pad_id}
        hidden = torch.tensor(sorted(tokenizer.special_ids - seen), device=ids.device)
        mask = ~torch.isin(ids, hidden)
        if "attention_mask" in inputs:
            mask = mask & inputs["attention_mask"].bool()
        return super().token_states({**inputs, "attention_mask": mask.long()}, layer)

    @classmethod
    def build(cls, config: PreTrainedConfig) -> PreTrainedModel:
        """The network, uninitialised."""
        return CaduceusForMaskedLM(config)

    @classmethod
    def key_rules(cls, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> KeyRules:
        """The authors' names are the module's; the copies of tied tensors may be stored or not."""
        return KeyRules(tied=tied_keys(config, "caduceus."), computed=(r".*\.complement_map",))


def _without_code(published: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, less those that name code to import or versions that wrote them."""
    foreign = ("auto_map", "architectures", "model_type", "transformers_version", "_name_or_path")
    return {key: value for key, value in published.items() if key not in foreign}
