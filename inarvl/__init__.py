"""What every inarvl package uses: version, errors, logs, terminal, systemd, network interfaces."""

from inarvl.errors import InarvlError

__version__ = "0.1.0"

__all__ = ["InarvlError", "__version__"]
