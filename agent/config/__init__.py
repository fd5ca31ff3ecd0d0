"""Reads the site file, and other YAML files, and checks them against a schema."""
