"""The site file, and YAML files checked against a schema."""
