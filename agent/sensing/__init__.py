"""The board's own state: sensors that are found by themselves, read at a steady pace and laid together."""
