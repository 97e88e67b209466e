"""What a plugin declares: words, rows, schema, reader."""
