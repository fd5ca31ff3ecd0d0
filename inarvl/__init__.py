"""What every inarvl package uses: the version, the base class of errors, logging, systemd notifications."""

from inarvl.errors import InarvlError

__version__ = "0.1.0"

__all__ = ["InarvlError", "__version__"]
