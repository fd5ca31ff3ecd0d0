"""What an image shows of how hard it is to see anything in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, JpegImagePlugin

from controller.errors import SignalsError
from controller.looks import average_hash, digest
from inarvl.picture import UNREADABLE, turn_of, turned

SIDE: Final = 256  # pixels of the longer side that the signals are read from
MAX_PIXELS: Final = 100_000_000
EDGE: Final = 24  # grey levels per pixel
LEVELS: Final = np.arange(256)
# The luminance table of ITU-T T.81 Annex K sums to this; libjpeg scales it by quality.
STANDARD_TABLE_SUM: Final = 3685.0


@dataclass(frozen=True)
class ImageSignals:
    """Measured on the grey image, upright, reduced to at most 256 pixels a side.

    Attributes:
        width, height, bytes, format: of the image as it came; the format is `JPEG` or `PNG`.
        jpeg_quality: libjpeg's 1 to 100, estimated from the quantisation table; None for a PNG.
        brightness, contrast: mean and standard deviation of the grey levels, as shares of white.
        dark, bright: shares of pixels that are clipped to nearly black or nearly white.
        sharpness: standard deviation of the Laplacian in grey levels, without what noise adds
            (Pech-Pacheco et al. 2000).
        noise: standard deviation of the noise in grey levels (Immerkaer 1996).
        edges: share of pixels with a strong gradient.
        entropy: of the grey levels' histogram, in bits, 0 to 8.
        picture, scene: a digest of its bytes and its average hash; empty where no image was read.
    """

    width: int
    height: int
    bytes: int
    format: str
    jpeg_quality: float | None
    brightness: float
    contrast: float
    dark: float
    bright: float
    sharpness: float
    noise: float
    edges: float
    entropy: float
    picture: str = ""
    scene: str = ""

    @property
    def bits_per_pixel(self) -> float:
        """Encoded size over the number of pixels."""
        return 8.0 * self.bytes / (self.width * self.height)


def image_signals(data: bytes) -> ImageSignals:
    """Returns the signals of an encoded JPEG or PNG; a large JPEG is decoded at a fraction of its size.

    Raises:
        SignalsError: it is neither, is damaged, or has more than 100 million pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=("JPEG", "PNG")) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise SignalsError(f"the image has {width}x{height} pixels: send at most 100 million")
            quality = jpeg_quality(image)
            reduced = _reduced_grey(image)
            kind = "PNG" if image.format == "PNG" else "JPEG"
    except UNREADABLE as error:
        raise SignalsError(f"the image cannot be decoded ({error}): send a whole JPEG or PNG") from error
    return ImageSignals(
        width,
        height,
        len(data),
        kind,
        quality,
        *_measure(reduced),
        picture=digest(data),
        scene=average_hash(reduced),
    )


def jpeg_quality(image: Image.Image) -> float | None:
    """Libjpeg's quality of an opened JPEG, 1 to 100, from its first quantisation table; None for others.

    It inverts the scaling of the standard table: percent = 5000 / q below 50, else 200 - 2 q.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or not image.quantization:
        return None
    percent = 100.0 * sum(next(iter(image.quantization.values()))) / STANDARD_TABLE_SUM
    quality = 5000.0 / percent if percent > 100 else (200.0 - percent) / 2
    return float(min(100.0, max(1.0, quality)))


def _reduced_grey(image: Image.Image) -> Image.Image:
    scale = min(1.0, SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image.draft("L", size)
    reduced = image.convert("L")
    if scale < 1:
        reduced = reduced.resize(size, Image.Resampling.BOX)
    return turned(reduced, turn_of(image))


def _measure(grey: Image.Image) -> tuple[float, float, float, float, float, float, float, float]:
    """Brightness, contrast, dark, bright, sharpness, noise, edges and entropy of a grey image.

    The differences are of at most 16 levels of 255 each, so that 16 bits are enough, and exact.
    """
    shares = np.array(grey.histogram()) / (grey.width * grey.height)
    brightness = float(shares @ LEVELS)
    contrast = math.sqrt(float(shares @ (LEVELS - brightness) ** 2))
    present = shares[shares > 0]
    entropy = float(-(present * np.log2(present)).sum())
    # Borders repeat, so that an image of a single row or column has gradients too.
    padded = np.empty((grey.height + 2, grey.width + 2), dtype=np.int16)
    padded[1:-1, 1:-1] = np.asarray(grey)
    padded[0], padded[-1] = padded[1], padded[-2]
    padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    across = padded[:, :-2] + padded[:, 2:] - 2 * padded[:, 1:-1]
    laplacian = across[1:-1] + padded[:-2, 1:-1] + padded[2:, 1:-1] - 2 * padded[1:-1, 1:-1]
    # Immerkaer's mask is the second difference across times the second difference down.
    mask = across[:-2] + across[2:] - 2 * across[1:-1]
    noise = math.sqrt(math.pi / 2) / 6 * float(np.abs(mask).mean())
    # White noise of deviation s gives this Laplacian a deviation of s * sqrt(4 * 1 + 16).
    sharpness = math.sqrt(max(0.0, float(laplacian.var(dtype=np.float32)) - 20.0 * noise**2))
    rise = (padded[1:-1, 2:] - padded[1:-1, :-2]).astype(np.int32)
    fall = (padded[2:, 1:-1] - padded[:-2, 1:-1]).astype(np.int32)
    steep = rise * rise + fall * fall > (2 * EDGE) ** 2
    return (
        brightness / 255,
        contrast / 255,
        float(shares[:8].sum()),
        float(shares[248:].sum()),
        sharpness,
        noise,
        int(np.count_nonzero(steep)) / steep.size,
        abs(entropy),
    )
