"""Evaluation: recorded traces of what every arm does on every question, and what is told from them."""
