"""Fault injection: a deployment under load is harmed in one way at a time, and every query is counted."""
