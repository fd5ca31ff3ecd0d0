"""Cameras whose pictures the agent fetches by itself, and the questions that it asks about them."""
