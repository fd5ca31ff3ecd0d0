"""Rendered scenes in files, because rendering is slower than a training step."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image

from lab.scenes.render import render
from lab.scenes.scene import Scene, draw

TRAIN, HELD_OUT = 1, 2
JPEG_QUALITY = 90


def scene_at(split: int, index: int) -> Scene:
    """Returns scene `index` of a split, which is the same on every machine."""
    return draw(np.random.default_rng([split, index]))


def images_file(folder: Path, split: int, size: int) -> Path:
    """Returns the file with a split's images of one size: (scenes, size, size, 3) in uint8."""
    return folder / f"split{split}-{size}px.npy"


def render_split(folder: Path, split: int, sizes: Sequence[int], first: int, last: int, total: int) -> None:
    """Renders scenes into the file of each size, which is created if missing.

    Args:
        sizes: Sides of the images in pixels.
        first, last: Range of the scenes, without `last`.
        total: Scenes in the split.
    """
    files = [_open(images_file(folder, split, size), total, size) for size in sizes]
    for index in range(first, last):
        image = render(scene_at(split, index))
        for size, file in zip(sizes, files, strict=True):
            file[index] = np.asarray(compressed(image, size))
    for file in files:
        file.flush()


def compressed(image: Image.Image, size: int) -> Image.Image:
    """Returns an image with a side of `size` pixels and with the JPEG losses that a device's images have."""
    file = io.BytesIO()
    small = image.resize((size, size), Image.Resampling.BICUBIC)
    small.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return Image.open(file)


def _open(path: Path, total: int, size: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    if path.exists():
        return open_memmap(path, mode="r+")
    return open_memmap(path, mode="w+", dtype=np.uint8, shape=(total, size, size, 3))
