"""Grades of the arms in a trace: accuracy, value of the confidence, and cost."""
