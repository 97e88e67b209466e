"""The conformance kit that holds a plugin to its manifest."""
