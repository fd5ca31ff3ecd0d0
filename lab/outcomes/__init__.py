"""Real outcomes of models that nobody here ran, to route between two of them."""
