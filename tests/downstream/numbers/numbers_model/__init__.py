"""A sequence and a signal over it (methylation, say) go in together."""
