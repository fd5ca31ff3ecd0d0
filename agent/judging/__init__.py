"""Asks a language model whether two answers say the same, where their texts alone leave it open."""
