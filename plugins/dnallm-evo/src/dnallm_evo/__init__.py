"""Evo 1, Evo 1.5 and Evo 2 for dnallm, in plain PyTorch."""
