"""Caduceus, PlantCaduceus, PlantCAD2 and Plant DNAMamba for dnallm, in plain PyTorch."""
