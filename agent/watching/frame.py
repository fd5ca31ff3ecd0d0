"""A picture of a camera, checked when it is first needed."""

from __future__ import annotations

from functools import partial
from typing import Final

import anyio
from anyio import to_thread

from agent.messages.images import Decoder
from agent.messages.query import BadQuery

BITS: Final = 64  # of an average hash: 8 by 8 parts of the picture


class Frame:
    """One picture.

    Attributes:
        number: counts the pictures of the camera.
        data: the encoded image, as it came.
        arrived_at: seconds on the monotonic clock.
        taken_at: seconds since 1970 when it arrived.
    """

    def __init__(
        self, number: int, data: bytes, decoder: Decoder, *, arrived_at: float, taken_at: float
    ) -> None:
        self.number = number
        self.data = data
        self.arrived_at = arrived_at
        self.taken_at = taken_at
        self._decoder = decoder
        self._scene: str | BadQuery | None = None
        self._checking = anyio.Lock()

    async def scene(self) -> str:
        """Returns the average hash of the picture; decodes it once, in a thread.

        Raises:
            BadQuery: it cannot be decoded.
        """
        async with self._checking:
            if self._scene is None:
                try:
                    prepared = await to_thread.run_sync(partial(self._decoder.prepare, self.data, ()))
                    self._scene = prepared.signals.scene
                except BadQuery as error:
                    if error.code == "busy":  # of the decoder: the next question tries again
                        raise
                    self._scene = error
        if isinstance(self._scene, BadQuery):
            raise self._scene
        return self._scene


def changed_parts(scene: str, other: str) -> int:
    """Returns in how many of 8 by 8 parts two average hashes differ.

    >>> changed_parts("0f", "1e")
    2
    """
    return (int(scene, 16) ^ int(other, 16)).bit_count()
