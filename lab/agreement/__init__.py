"""Measures how well `agent.agreement` recognises answers that say the same, and fits its weights."""
