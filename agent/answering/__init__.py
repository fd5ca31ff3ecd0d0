"""Answers questions: the workers, the calls to model servers, and learning from the results."""
