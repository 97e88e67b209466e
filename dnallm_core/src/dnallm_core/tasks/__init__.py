"""Streams in, streams out: what a genomics group does all day on one machine."""
