"""DNABERT, DNABERT-2, DNABERT-S, Nucleotide Transformer, AgroNT, Plant DNABERT and other encoder transformers for dnallm."""
