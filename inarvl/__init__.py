"""What every inarvl package may import: the version, the error base, logging and systemd notification."""

__version__ = "0.1.0"
