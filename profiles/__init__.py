"""Hardware profiles, one YAML file for each kind of board."""
