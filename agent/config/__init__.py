"""The site file, and YAML files that are checked against a schema."""
