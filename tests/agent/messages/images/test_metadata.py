"""A file that is sent has nothing of the file that came but its pixels.

A marker stands in every kind of place that a file has beside its pixels. It is in no file that is sent, at
any resolution, and neither are the kinds of places.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from agent.messages import images
from agent.messages.images.preparing import View, prepare

MARKER = b"MARKER-51.4778N-0.0015W"
MASK = (((0.1, 0.1), (0.4, 0.1), (0.3, 0.5)),)
VIEWS = [View(resolution, mask) for resolution in (0, 48, 2000) for mask in ((), MASK)]
PLAIN_SEGMENTS = {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}  # JFIF, quantisation, frame, Huffman, scan
PLAIN_CHUNKS = [b"IHDR", b"IDAT", b"IEND"]


def picture(mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize((120, 80), Image.Resampling.BICUBIC).convert(mode)


def encoded(form: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    picture(mode).save(file, form, **options)
    return file.getvalue()


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x0112], tags[0x010E], tags[0x9C9B] = orientation, MARKER.decode(), MARKER
    tags.get_ifd(0x8825)[29] = MARKER.decode()
    return tags.tobytes()


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    return data[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content + data[2:]


def in_every_segment(data: bytes) -> bytes:
    """EXIF, XMP, extended XMP, ICC, FlashPix, Photoshop (IPTC), comments, and every APPn."""
    for marker in (*range(0xE0, 0xF0), 0xFE):
        data = with_segment(data, marker, MARKER)
    for marker, name in (
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0"),
        (0xE1, b"Exif\0\0"),
        (0xE2, b"ICC_PROFILE\0\1\1"),
        (0xE2, b"FPXR\0"),
        (0xED, b"Photoshop 3.0\0008BIM\4\4\0\0\0\0\0\x17"),
    ):
        data = with_segment(data, marker, name + MARKER)
    return data


def in_unused_tables(data: bytes) -> bytes:
    """A quantisation table and a Huffman table that no component uses."""
    table = (MARKER * 3)[:64]
    huffman = bytes([0] * 7 + [len(MARKER)] + [0] * 8) + MARKER
    return with_segment(with_segment(data, 0xDB, b"\3" + table), 0xC4, b"\x13" + huffman)


def between_scans(data: bytes) -> bytes:
    at = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    return data[:at] + with_segment(b"\xff\xd8" + data[at:], 0xFE, MARKER)[2:]


def thumbnail() -> bytes:
    """EXIF whose thumbnail has the marker, as of a picture before it was cropped."""
    small = with_segment(encoded("JPEG"), 0xFE, MARKER)
    directory = struct.pack("<HHHLL", 1, 0x0112, 3, 1, 1)
    second = struct.pack("<HHHLLHHLL", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(small))
    start = b"Exif\0\0II*\0\x08\0\0\0"
    return start + directory + struct.pack("<L", 26) + second + struct.pack("<L", 0) + small


def text_chunks() -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", MARKER.decode())
    chunks.add_text("Location", MARKER.decode(), zip=True)
    chunks.add_itxt("XML:com.adobe.xmp", MARKER.decode())
    for name in (b"eXIf", b"prVt", b"tIME", b"sPLT", b"vpAg"):
        chunks.add(name, MARKER)
    chunks.add(b"prVu", MARKER, after_idat=True)
    return chunks


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def in_palette() -> bytes:
    """Colours that no pixel has."""
    image = Image.new("P", (120, 80), 1)
    image.putpalette(bytes(6) + MARKER + bytes(1))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def after_pixels(data: bytes) -> bytes:
    """Beyond the end of the compressed pixels, in the same chunk."""
    at = data.rindex(b"IEND") - 4
    return data[:at] + png_chunk(b"IDAT", MARKER) + data[at:]


def mpo() -> bytes:
    file = io.BytesIO()
    picture().save(file, "MPO", save_all=True, append_images=[picture()])
    data = file.getvalue()
    return data[:-2] + with_segment(b"\xff\xd8\xff\xd9", 0xFE, MARKER)[2:]


def riff_chunk(data: bytes) -> bytes:
    data += b"PRIV" + struct.pack("<I", len(MARKER)) + MARKER + b"\0"
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


WITH_MARKER: dict[str, Callable[[], bytes]] = {
    "jpeg-exif": lambda: encoded("JPEG", exif=exif()),
    "jpeg-turned": lambda: encoded("JPEG", exif=exif(6)),
    "jpeg-thumbnail": lambda: encoded("JPEG", exif=thumbnail()),
    "jpeg-segments": lambda: in_every_segment(encoded("JPEG")),
    "jpeg-grey-segments": lambda: in_every_segment(encoded("JPEG", "L")),
    "jpeg-cmyk-segments": lambda: in_every_segment(encoded("JPEG", "CMYK")),
    "jpeg-written-by-pillow": lambda: encoded("JPEG", comment=MARKER, icc_profile=MARKER, xmp=MARKER),
    "jpeg-unused-tables": lambda: in_unused_tables(encoded("JPEG")),
    "jpeg-between-scans": lambda: between_scans(encoded("JPEG", progressive=True)),
    "jpeg-after-end": lambda: encoded("JPEG") + MARKER,
    "jpeg-after-end-with-end": lambda: encoded("JPEG") + MARKER + b"\xff\xd9",
    "jpeg-second-picture": lambda: encoded("JPEG") + with_segment(encoded("JPEG"), 0xFE, MARKER),
    "mpo-second-picture": mpo,
    "png-chunks": lambda: encoded("PNG", pnginfo=text_chunks(), icc_profile=MARKER, exif=exif()),
    "png-grey-chunks": lambda: encoded("PNG", "L", pnginfo=text_chunks(), icc_profile=MARKER),
    "png-transparent-chunks": lambda: encoded("PNG", "RGBA", pnginfo=text_chunks(), icc_profile=MARKER),
    "png-palette": in_palette,
    "png-after-pixels": lambda: after_pixels(encoded("PNG")),
    "png-after-end": lambda: encoded("PNG") + MARKER,
    "webp": lambda: encoded("WEBP", exif=exif(), xmp=MARKER, icc_profile=MARKER),
    "webp-chunk": lambda: riff_chunk(encoded("WEBP", exif=exif())),
    "webp-after-end": lambda: encoded("WEBP") + MARKER,
    "avif": lambda: encoded("AVIF", exif=exif(), xmp=MARKER, icc_profile=MARKER),
}


def segments(data: bytes) -> set[int]:
    """The markers of a JPEG's segments; nothing may follow its end."""
    found, at = set(), 2
    while data[at + 1] != 0xDA:
        found.add(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    assert data.index(b"\xff\xd9", at) == len(data) - 2
    return {*found, 0xDA}


def chunks(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return found


@pytest.mark.parametrize("kind", WITH_MARKER)
def test_only_the_pixels_are_sent(kind: str) -> None:
    if kind == "avif" and "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow cannot write AVIF")
    data = WITH_MARKER[kind]()
    assert MARKER in data or kind == "png-chunks"
    for view, sent in prepare(data, VIEWS).views.items():
        assert MARKER not in sent, view
        with Image.open(io.BytesIO(sent)) as image:
            if image.format == "JPEG":
                assert segments(sent) <= PLAIN_SEGMENTS
                assert not {"exif", "comment", "icc_profile", "xmp", "photoshop"} & image.info.keys()
            else:
                assert chunks(sent) == PLAIN_CHUNKS
                assert not image.info


@pytest.mark.parametrize("kind", ["jpeg-exif", "png-chunks", "webp"])
def test_files_that_differ_only_beside_their_pixels_are_sent_alike(kind: str) -> None:
    form = kind.partition("-")[0].upper()
    for resolution in (0, 48):
        assert images.fit(WITH_MARKER[kind](), resolution) == images.fit(encoded(form), resolution)
