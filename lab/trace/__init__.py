"""Traces: the answers of every model to every question, recorded, written and read."""
