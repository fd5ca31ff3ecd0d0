"""The running agent: connects its parts, and runs its start, loops and stop."""
