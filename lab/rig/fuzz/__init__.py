"""Fuzzing: mutated valid inputs for every door of the agent and of the model server."""
