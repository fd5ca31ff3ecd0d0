"""Repairs JPEG files as cameras write them, without decoding and encoding their pixels (ITU-T T.81 Annex B).

1. Motion JPEG cameras omit the standard Huffman tables: they are inserted.
2. MPO files have more images after the first, and phones append videos and other data: these are removed.
3. If the end marker is missing and all pixels are there, it is added. If pixels are missing, the file remains
   as it is, so that decoding it fails.
"""

from __future__ import annotations

import hashlib
import re
from random import Random
from typing import NamedTuple

from agent.messages.images.opening import opened
from agent.messages.query import BadQuery

START, END = b"\xff\xd8", b"\xff\xd9"
FIRST_RESTART, RESTARTS = 0xD0, 8
STANDALONE = {0x01, *range(FIRST_RESTART, FIRST_RESTART + RESTARTS)}  # markers without a segment: TEM, RST
SEQUENTIAL = {0xC0, 0xC1}
HUFFMAN_TABLES, END_OF_IMAGE, SCAN, APP2 = 0xC4, 0xD9, 0xDA, 0xE2
FRAMES = {*range(0xC0, 0xD0)} - {HUFFMAN_TABLES, 0xC8, 0xCC}
MULTI_PICTURE = b"MPF\0"
# In the data of a scan, 0xff is followed by 0 or is part of a restart marker.
MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
COEFFICIENTS = 64
MAX_SCANS, MAX_COMPONENTS = 1000, 4  # components of one scan, by B.2.3; far more scans than cameras write
# Tables K.3 to K.6, as one DHT segment.
STANDARD_TABLES = bytes.fromhex(
    "ffc401a2"
    "0000010501010101010100000000000000000102030405060708090a0b"
    "100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c11552d1f0"
    "2433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a63646566676869"
    "6a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5"
    "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    "0100030101010101010101010000000000000102030405060708090a0b"
    "1100020102040403040705040400010277000102031104052131061241510761711322328108144291a1b1c109233352f0"
    "156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768"
    "696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3"
    "c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
# Longer than the data of any minimum coded unit; two, since one may happen to have the missing bits.
NOISES = [Random(seed).randbytes(4096).replace(b"\xff", b"") for seed in range(2)]


class Segment(NamedTuple):
    """A marker and its parameters, from `start` to `end` in the file."""

    marker: int
    start: int
    end: int

    def parameters(self, data: bytes) -> bytes:
        """Returns what follows the marker and the length."""
        return data[self.start + 4 : self.end]


def repaired(data: bytes) -> bytes:
    """Returns a JPEG file that every decoder can read; `data` itself if nothing is wrong or it is no JPEG."""
    header = _header(data)
    if not header:
        return data
    markers = {part.marker for part in header}
    if markers & SEQUENTIAL and HUFFMAN_TABLES not in markers:
        scan = header[-1]
        data = data[: scan.start] + STANDARD_TABLES + data[scan.start :]
        header = _header(data)
    index = [
        part for part in header if part.marker == APP2 and data.startswith(MULTI_PICTURE, part.start + 4)
    ]
    if index or not data.endswith(END):
        data = _ended(data, header)
    for part in reversed(index):
        data = data[: part.start] + data[part.end :]
    return data


def _header(data: bytes) -> list[Segment]:
    """Returns the segments up to the first scan's, or nothing if they cannot be read."""
    segments: list[Segment] = []
    position = len(START) if data.startswith(START) else len(data)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in STANDALONE:
            position += 2
        else:
            segments.append(_segment(data, position))
            if marker == SCAN:
                return segments
            position = segments[-1].end
    return []


def _segment(data: bytes, start: int) -> Segment:
    length = max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
    return Segment(data[start + 1], start, start + 2 + length)


def _ended(data: bytes, header: list[Segment]) -> bytes:
    """Returns `data` up to the end marker of its first image, which is added if only it is missing."""
    scans = [header[-1]]
    position = scans[0].end
    while found := MARKER_IN_SCAN.search(data, position):
        if data[found.start() + 1] == END_OF_IMAGE:
            return data[: found.end()]
        segment = _segment(data, found.start())
        if segment.marker == SCAN:
            scans.append(segment)
        position = segment.end
    open_ended = data.rstrip(b"\xff")  # without the first half of the end marker
    whole = _has_all_scans(data, header, scans) and _has_all_pixels(open_ended, scans[-1])
    return open_ended + END if whole else data


def _has_all_scans(data: bytes, header: list[Segment], scans: list[Segment]) -> bool:
    """Returns whether the last bit of every coefficient of every component has a scan."""
    frames = [part.parameters(data) for part in header if part.marker in FRAMES]
    if not frames or len(scans) > MAX_SCANS:
        return False
    components = set(frames[0][6::3])
    sent: set[tuple[int, int]] = set()
    for scan in scans:
        count, *rest = scan.parameters(data) or b"\0"
        if count > MAX_COMPONENTS or len(rest) < 2 * count + 3:
            return False
        first, last, bits = rest[2 * count : 2 * count + 3]
        if bits & 0xF == 0:
            sent |= {
                (component, place)
                for component in rest[: 2 * count : 2]
                for place in range(first, min(last + 1, COEFFICIENTS))
            }
    return {(component, place) for component in components for place in range(COEFFICIENTS)} <= sent


def _has_all_pixels(data: bytes, scan: Segment) -> bool:
    """Returns whether the pixels remain the same if noise follows the data from `scan` on.

    Decoders show grey for missing data, and ignore what follows the last pixels.
    """
    restarts = RESTART.findall(data, scan.end)
    following = (restarts[-1][1] - FIRST_RESTART + 1) % RESTARTS if restarts else 0
    restart = bytes((0xFF, FIRST_RESTART + following))
    try:
        seen = _pixel_digest(data + END)
        return all(_pixel_digest(data + noise + restart + noise + END) == seen for noise in NOISES)
    except BadQuery:
        return False


def _pixel_digest(data: bytes) -> bytes:
    with opened(data) as image:
        return hashlib.sha256(image.tobytes()).digest()
