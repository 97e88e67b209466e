"""The command, thin: one file a subcommand, imported when it is called."""
