"""Published outcomes of models that were not run here, to route between two of them."""
