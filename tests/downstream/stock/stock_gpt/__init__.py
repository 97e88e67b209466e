"""GPT-2 of transformers over single bases."""
