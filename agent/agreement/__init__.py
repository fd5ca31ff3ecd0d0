"""Whether two answers to one question say the same, as a probability."""
