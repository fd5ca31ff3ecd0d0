"""What the agent publishes about itself: telemetry, decision records, events, metrics."""
