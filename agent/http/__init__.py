"""Answers queries over HTTP in OpenAI's schema, and serves health, metrics and feedback."""
