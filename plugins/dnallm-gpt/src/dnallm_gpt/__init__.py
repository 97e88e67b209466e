"""DNAGPT, Plant DNAGPT, Plant DNAGemma, GENERator and other decoder transformers for dnallm."""
