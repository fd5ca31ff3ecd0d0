"""What an image shows of how hard it is to see anything in it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from controller.errors import SignalsError
from controller.looks import average_hash, digest
from inarvl.picture import UNREADABLE, turn_of, turned

SIDE: Final = 256  # pixels of the longer side that the signals are read from
MAX_PIXELS: Final = 100_000_000
EDGE: Final = 24.0  # grey levels per pixel
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
    """Read the signals of an encoded JPEG or PNG; a large JPEG is decoded at a fraction of its size.

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
        *_measure(np.asarray(reduced, dtype=np.float32)),
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
    image.draft("L", (SIDE, SIDE))
    reduced = image.convert("L")
    scale = SIDE / max(reduced.size)
    if scale < 1:
        size = (max(1, round(reduced.width * scale)), max(1, round(reduced.height * scale)))
        reduced = reduced.resize(size, Image.Resampling.BOX)
    return turned(reduced, turn_of(image))


def _measure(grey: NDArray[np.float32]) -> tuple[float, float, float, float, float, float, float, float]:
    """Brightness, contrast, dark, bright, sharpness, noise, edges and entropy of a grey image (h, w)."""
    counts = np.bincount(grey.astype(np.uint8).ravel(), minlength=256) / grey.size
    present = counts[counts > 0]
    entropy = float(-(present * np.log2(present)).sum())
    # Borders repeat, so that an image of a single row or column has gradients too.
    padded = np.pad(grey, 1, mode="edge")
    across = padded[:, :-2] + padded[:, 2:] - 2 * padded[:, 1:-1]
    laplacian = across[1:-1] + padded[:-2, 1:-1] + padded[2:, 1:-1] - 2 * grey
    # Immerkaer's mask is the second difference across times the second difference down.
    mask = across[:-2] + across[2:] - 2 * across[1:-1]
    noise = float(np.sqrt(np.pi / 2) / 6 * np.abs(mask).mean())
    # White noise of deviation s gives this Laplacian a deviation of s * sqrt(4 * 1 + 16).
    sharpness = float(np.sqrt(max(0.0, float(laplacian.var()) - 20.0 * noise**2)))
    slope = np.hypot(padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    return (
        float(grey.mean()) / 255,
        float(grey.std()) / 255,
        float(counts[:8].sum()),
        float(counts[248:].sum()),
        sharpness,
        noise,
        float((slope > EDGE).mean()),
        abs(entropy),
    )
