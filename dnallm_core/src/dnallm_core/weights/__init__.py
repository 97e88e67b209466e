"""Hub, folder or bundled file -> verified local files."""
