"""Chooses where an image is decoded, so that no image can exhaust the agent's memory or time.

1. An image with more than MAX_PIXELS, a JPEG with more than MAX_SCANS, and a file of very many parts are
   refused by their header.
2. A usual JPEG or PNG is decoded in the calling thread: its header shows what it costs. The threads share a
   memory budget.
3. Every other image is decoded in a process that is limited in memory and time, one at a time.
4. The process may keep MAX_CALLERS waiting. More are refused, so that other images still find a free worker.
5. What arms get of an image may be made when it is needed. For the process this would be another call, so it
   makes all of it at once.

A thread costs nothing extra. The process costs 1 to 3 ms per image, and 40 MB from its first image on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from agent.messages.images.decoding_process import DecodingProcess
from agent.messages.images.opening import TOO_LARGE
from agent.messages.images.preparing import PreparedImage, View, prepare
from agent.messages.images.resizing import fit
from agent.messages.query import BadQuery
from vlm.image_header import MAX_PIXELS, MAX_SCANS, ImageHeader, TooManyParts, read_header

MAX_CALLERS = 4  # half of the workers, by default
USUAL_SCANS = 8  # one, or one per component, and those of thumbnails
USUAL_BYTES = 160 * 2**20
BUDGET_BYTES = 256 * 2**20
# At the peak, per pixel, measured for turned images, and for PNG with transparency or 16 bits.
JPEG_BYTES, PNG_BYTES = 13, 14
INCOMPLETE_COST = 2  # a JPEG without its end marker is decoded again, to find out whether it has all pixels
JPEG_END = b"\xff\xd9"


class Decoder:
    """Prepares images of untrusted senders; its methods may be called from several threads."""

    def __init__(self) -> None:
        self._process = DecodingProcess()
        self._callers = threading.BoundedSemaphore(MAX_CALLERS)
        self._budget = _Budget(BUDGET_BYTES)

    def prepare(
        self, data: bytes, views: Iterable[View], least_margin_px: int = 0, *, made_later: bool = False
    ) -> PreparedImage:
        """Returns `prepare(data, views, least_margin_px)`.

        Args:
            made_later: leaves out the views that `view` can make in the calling thread.

        Raises:
            BadQuery: the image cannot be decoded, or not within the limits.
        """
        needed = _thread_bytes(data)
        if needed is None:
            return self._in_process(data, tuple(views), least_margin_px)
        with self._budget.reserved(needed):
            return prepare(data, () if made_later else views, least_margin_px)

    def view(self, image: PreparedImage, view: View) -> bytes:
        """Returns what an arm gets of a prepared image; raises BadQuery like `prepare`."""
        needed = _thread_bytes(image.encoded)
        if needed is None:
            return self._in_process(image.encoded, (view,), image.margin_px).views[view]
        with self._budget.reserved(needed):
            return fit(image.encoded, view.resolution, view.mask, image.margin_px)

    def close(self) -> None:
        """Ends the process."""
        self._process.close()

    def _in_process(self, data: bytes, views: tuple[View, ...], least_margin_px: int) -> PreparedImage:
        if not self._callers.acquire(blocking=False):
            raise BadQuery(
                "busy",
                "large or unusual images wait already: ask later, or send an ordinary JPEG of the camera",
            )
        try:
            return self._process.prepare(data, views, least_margin_px)
        finally:
            self._callers.release()


def _thread_bytes(data: bytes) -> int | None:
    """Returns an upper limit of the memory to decode a usual image; None for any other image.

    Raises:
        BadQuery: its header shows that it exceeds the limits.
    """
    header = _header(data)
    if header is None or not header.sequential or header.scans > USUAL_SCANS:
        return None
    needed = _bytes_needed(header, data)
    return needed if needed <= USUAL_BYTES else None


def _header(data: bytes) -> ImageHeader | None:
    """Returns the header of a JPEG or PNG, if it is within the limits."""
    try:
        header = read_header(data)
    except TooManyParts:
        raise BadQuery("bad_image", "the image file has too many parts: save it again") from None
    if header is not None and header.pixels > MAX_PIXELS:
        raise BadQuery("too_large", TOO_LARGE)
    if header is not None and header.scans > MAX_SCANS:
        raise BadQuery(
            "bad_image",
            f"the image is a JPEG with more than {MAX_SCANS} scans: save it as one that is not progressive",
        )
    return header


def _bytes_needed(header: ImageHeader, data: bytes) -> int:
    """Returns an upper limit of the memory that decoding needs."""
    if header.format == "PNG":
        return PNG_BYTES * header.pixels
    return JPEG_BYTES * header.pixels * (1 if data.endswith(JPEG_END) else INCOMPLETE_COST)


class _Budget:
    """A semaphore of bytes."""

    def __init__(self, amount: int) -> None:
        self._free = amount
        self._freed = threading.Condition()

    @contextmanager
    def reserved(self, amount: int) -> Iterator[None]:
        """Waits until `amount` is free and reserves it."""
        with self._freed:
            self._freed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._freed:
                self._free += amount
                self._freed.notify_all()
