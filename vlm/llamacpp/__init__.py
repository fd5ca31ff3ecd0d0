"""Runs llama.cpp's server as the board's model server."""
