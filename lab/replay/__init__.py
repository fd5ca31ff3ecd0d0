"""Replays of policies on a trace, and their figures."""
