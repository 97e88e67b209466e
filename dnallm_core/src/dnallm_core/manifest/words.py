"""The closed vocabularies of a manifest and of a requirement: one word a thing, everywhere."""

from __future__ import annotations

from typing import Literal, get_args

Architecture = Literal[
    "encoder-transformer",
    "decoder-transformer",
    "state-space",
    "long-convolution",
    "hybrid",
    "convolutional",
]
Direction = Literal["bidirectional", "causal"]
Objective = Literal[
    "masked-language-modelling", "causal-language-modelling", "substitution-rates", "contrastive"
]
LengthLimit = Literal["hard", "trained", "none"]
Growth = Literal["linear", "n-log-n", "quadratic"]  # in this order: the cheapest first
ReverseComplement = Literal["none", "equivariant", "augmented"]
Task = Literal[
    "embedding",
    "token-embedding",
    "classification",
    "token-classification",
    "regression",
    "masked-prediction",
    "scoring",
    "variant-effect",
    "generation",
]
Input = Literal["sequence", "alignment", "numbers"]
Domain = Literal[
    "human", "mouse", "animal-other", "plant", "yeast", "fungi", "protist", "prokaryote", "virus"
]
Dtype = Literal["float32", "bfloat16", "float16", "float8"]
Grade = Literal["A", "B", "C", "D"]

ARCHITECTURES: tuple[str, ...] = get_args(Architecture)
DIRECTIONS: tuple[str, ...] = get_args(Direction)
OBJECTIVES: tuple[str, ...] = get_args(Objective)
LENGTH_LIMITS: tuple[str, ...] = get_args(LengthLimit)
GROWTHS: tuple[str, ...] = get_args(Growth)
TASKS: tuple[str, ...] = get_args(Task)
INPUTS: tuple[str, ...] = get_args(Input)
DOMAINS: tuple[str, ...] = get_args(Domain)
DTYPES: tuple[str, ...] = get_args(Dtype)
GRADES: tuple[str, ...] = get_args(Grade)
