"""The decision: which arm answers a question, learned online."""
