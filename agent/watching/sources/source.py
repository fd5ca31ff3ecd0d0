"""What every source of pictures has in common that the agent fetches."""

from __future__ import annotations

from typing import Protocol

from inarvl.errors import InarvlError


class SourceFailed(InarvlError):
    """A camera has no picture; the message says why and what to do."""

    code = "camera_failed"


class Source(Protocol):
    """Fetches pictures, one at a time."""

    async def fetch(self) -> bytes | None:
        """Returns the present picture, encoded; None if there is none since the last one.

        Raises:
            SourceFailed: it cannot be fetched.
        """

    async def close(self) -> None:
        """Ends the connection, if there is one."""
