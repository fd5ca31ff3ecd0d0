"""Replays: policies run over a trace, and the figures that come of it."""
