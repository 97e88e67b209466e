"""DNABERT, Nucleotide Transformer and other encoder transformers for dnallm."""
