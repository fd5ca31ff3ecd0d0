"""Grading: what a trace says about each model's accuracy, confidence and cost."""
