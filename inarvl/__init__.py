"""What every inarvl package may import: the version, errors and their telling, logs, systemd."""

__version__ = "0.1.0"
