"""The core of dnallm: what a DNA language model can do, which one fits, and how to run it."""
