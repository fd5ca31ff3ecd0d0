"""Small image files that are expensive to decode, for tests and faults."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

START_OF_SCAN = b"\xff\xda"
FRAME = b"\xff\xc2"  # of a progressive JPEG


def png_bomb(side: int) -> bytes:
    """Returns a black RGB PNG of `side` x `side` pixels: a few bytes for each thousand pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def chunks_bomb(chunks: int) -> bytes:
    """Returns a tiny PNG with many empty chunks, each of which costs Pillow more time than the image."""
    image = png_bomb(8)
    end = image.index(b"IEND") - 4
    return image[:end] + chunks * _chunk(b"abCd", b"") + image[end:]


def scans_bomb(side: int, scans: int) -> bytes:
    """Returns a grey progressive JPEG of `side` x `side` pixels, with more scans that change nothing."""
    file = io.BytesIO()
    Image.new("L", (16, 16), 128).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    size = data.index(FRAME) + 5
    data = data[:size] + struct.pack(">HH", side, side) + data[size + 4 :]
    last = data[data.rindex(START_OF_SCAN) : -2]
    return data[:-2] + scans * last + data[-2:]


def segments_bomb(segments: int) -> bytes:
    """Returns a tiny JPEG after many empty segments, each of which costs Pillow more time than the image."""
    file = io.BytesIO()
    Image.new("L", (16, 16), 128).save(file, "JPEG")
    data = file.getvalue()
    return data[:2] + segments * b"\xff\xe5\0\2" + data[2:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
