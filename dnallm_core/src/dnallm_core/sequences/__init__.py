"""Alphabets, files, windows, tokenizers."""
