"""Traces: what every model answered to every question, recorded, stored and read."""
