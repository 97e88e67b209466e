"""A sound plugin: three small networks that do what their manifest says."""
