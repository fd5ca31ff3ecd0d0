"""Faults injected into a whole running site under load, and an account of every question meanwhile."""
