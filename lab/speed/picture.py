"""Pictures with about as much detail as those of a camera."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

COARSE = 40  # pixels between the points of the shapes
GRAIN = 4.0  # grey levels of noise
QUALITY = 50


def camera_picture(width: int, height: int, *, seed: int = 0) -> bytes:
    """Returns a JPEG of smooth shapes with noise: about 25 kB at 640x480."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 256, (height // COARSE + 2, width // COARSE + 2, 3), dtype=np.uint8)
    shapes = np.asarray(Image.fromarray(points).resize((width, height), Image.Resampling.BICUBIC))
    noise = rng.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    pixels = (shapes + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
