"""Reads the header of a JPEG or PNG file without decoding, to know what decoding will cost.

A small file can be expensive: uniform pixels compress to almost nothing, a JPEG may send the same pixels in
thousands of scans, each of which costs as much as decoding the image, and Pillow needs tens of microseconds
for each segment of a JPEG or chunk of a PNG (ITU-T T.81; PNG, third edition).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_PIXELS = 25_000_000
MAX_SCANS = 64  # of a JPEG; progressive files of cameras and editors have about ten
MAX_PARTS = 256  # segments before the pixels of a JPEG, and chunks of a PNG ...
MEAN_PART_BYTES = 1024  # ... which may have more if they are larger than this; encoders write 8 KiB or more
JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
# Markers without a segment: TEM, RST.
STANDALONE = {0x01, *range(0xD0, 0xD8)}
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SEQUENTIAL = {0xC0, 0xC1}
END_OF_IMAGE, SCAN = 0xD9, 0xDA
FRAME_BYTES = 9  # marker, length, precision, height, width, components
# In the data of a scan, 0xff is followed by 0 or is part of a restart marker.
MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
PNG_END = b"IEND"


class TooManyParts(Exception):
    """The file has so many segments or chunks that reading them is expensive; no camera writes such files."""


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        sequential: the pixels come once, from top to bottom; False for a progressive JPEG.
        scans: how often pixels are sent; 1 for a PNG. It may be too high if there are images after the first.
    """

    format: Literal["JPEG", "PNG"]
    width: int
    height: int
    sequential: bool
    scans: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height


def read_header(data: bytes) -> ImageHeader | None:
    """Returns the header of a JPEG or PNG; None for other and for damaged files.

    Raises:
        TooManyParts: do not open the file.
    """
    if data.startswith(JPEG_START):
        return _jpeg(data)
    return _png(data) if data.startswith(PNG_START) else None


def _jpeg(data: bytes) -> ImageHeader | None:
    frame: bytes | None = None
    position = len(JPEG_START)
    for _ in range(MAX_PARTS):
        if len(data) < position + 4 or data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in STANDALONE:
            position += 2
        elif marker == SCAN:
            return None if frame is None else _header_of(frame, data, position)
        else:
            end = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
            if marker in FRAMES:
                frame = data[position + 1 : end]
            position = end
    raise TooManyParts


def _header_of(frame: bytes, data: bytes, first: int) -> ImageHeader | None:
    """Reads the frame header, from the second byte of its marker, of a JPEG whose scans start at `first`."""
    if len(frame) < FRAME_BYTES or len(data) < first + 5:
        return None
    height, width = (int.from_bytes(frame[start : start + 2], "big") for start in (4, 6))
    components, in_first_scan = frame[8], data[first + 4]
    sequential = frame[0] in SEQUENTIAL
    once = sequential and in_first_scan == components  # libjpeg reads no other scan then
    return ImageHeader("JPEG", width, height, sequential, scans=1 if once else _scans(data, first))


def _scans(data: bytes, first: int) -> int:
    """Returns how many scans start from `first` on, exactly if there are more than MAX_SCANS."""
    scans = data.count(bytes((0xFF, SCAN)), first)
    if scans <= MAX_SCANS:
        return scans
    scans, position = 0, first
    while scans <= MAX_SCANS and (found := MARKER_IN_SCAN.search(data, position)):
        marker = data[found.start() + 1]
        if marker == END_OF_IMAGE:
            break
        scans += marker == SCAN
        position = found.start() + 2 + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return scans


def _png(data: bytes) -> ImageHeader | None:
    position = len(PNG_START)
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    for _ in range(MAX_PARTS + len(data) // MEAN_PART_BYTES):
        if len(data) < position + 12:
            return None
        if data[position + 4 : position + 8] == PNG_END:
            return ImageHeader("PNG", width, height, sequential=True, scans=1)
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    raise TooManyParts
