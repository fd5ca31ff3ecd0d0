"""Hardware profiles: their schema, where they are found, and which one fits this board."""
