"""The form that an answer has: yes or no, a number, one of several choices, a few words, text, or JSON."""
