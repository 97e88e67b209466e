"""Labelled sequences: how they are read and split, what is learned of them, and what it is worth."""
