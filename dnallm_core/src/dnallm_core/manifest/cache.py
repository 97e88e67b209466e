"""The name of the layout that validated manifests are cached in: it changes with the schema."""

FORMAT = "2.0.0-1"
