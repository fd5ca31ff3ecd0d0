"""Drawn camera scenes with questions whose answers are known."""
