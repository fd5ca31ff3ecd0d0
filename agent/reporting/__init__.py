"""Publishes telemetry, decision records and events, and serves metrics."""
