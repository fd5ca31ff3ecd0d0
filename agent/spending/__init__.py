"""What calls of models cost, and the caps on it."""
