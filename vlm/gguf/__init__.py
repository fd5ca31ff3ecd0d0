"""Writes checkpoints in the format of llama.cpp."""
