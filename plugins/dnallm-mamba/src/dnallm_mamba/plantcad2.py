"""PlantCAD2 (doi 10.1101/2025.08.27.672609): Caduceus-PS with Mamba-2 mixers.

Inferred, not read from the authors' code, which could not be had: their published ``ssm_cfg`` fits
mamba_ssm's Mamba2 alone, put where Caduceus has its Mamba.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dnallm_core.errors import CheckpointError

from .caduceus import Caduceus, CaduceusConfig


class PlantCAD2(Caduceus):
    """Caduceus-PS whose mixers are Mamba-2."""

    mixer = "Mamba2"
    mixer_settings = frozenset(
        {"bias", "conv_bias", "conv_init", "d_conv", "d_state", "dt_init_floor", "dt_max"}
        | {"dt_min", "expand", "headdim", "ngroups", "A_init_range", "chunk_size", "layer"}
        | {"use_mem_eff_path", "sequence_parallel"}
    )
    example_letters = (3, 4, 5, 6)
    example_mixer: ClassVar[Mapping[str, Any]] = {"headdim": 8}
    elsewhere: ClassVar[str] = "A checkpoint with Mamba-1 mixers is of the family plantcaduceus."

    @classmethod
    def check(cls, config: CaduceusConfig, shapes: Mapping[str, tuple[int, ...]] | None) -> None:
        """Also CheckpointError where the heads do not come out even."""
        super().check(config, shapes)
        given: Mapping[str, Any] = config.ssm_cfg
        inner, head = int(given.get("expand", 2) * config.d_model), given.get("headdim", 64)
        if inner % head:
            raise CheckpointError(f"{inner} channels are no whole number of heads of {head}.")
