"""The running agent: its parts put together, its start, its loops and its stop."""
