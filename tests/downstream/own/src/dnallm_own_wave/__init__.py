"""Own Wave for dnallm. Nothing heavy is imported here: dnallm reads dnallm.toml beside this file."""
