"""Hardware profiles: their fields, how their files are loaded, and which one fits a board."""
