"""A plugin without a model."""
