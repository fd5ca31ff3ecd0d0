"""Trains the bundled models on drawn scenes."""
