"""Receives queries, queues them, and sends their replies."""
