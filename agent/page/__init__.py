"""Serves the page for operators: what the agent answers and why, as it happens."""
