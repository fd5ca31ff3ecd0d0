"""Training of the bundled models on drawn scenes."""
