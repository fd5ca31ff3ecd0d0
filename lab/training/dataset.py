"""Rendered scenes kept on disk: drawing costs more than a training step can wait for."""

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


def scene(split: int, index: int) -> Scene:
    """Scene `index` of a split; the same on every machine."""
    return draw(np.random.default_rng([split, index]))


def picture_file(folder: Path, split: int, size: int) -> Path:
    """Where a split's pictures of one size are kept."""
    return folder / f"split{split}-{size}px.npy"


def render_split(folder: Path, split: int, sizes: Sequence[int], first: int, last: int, total: int) -> None:
    """Render scenes `first` to `last` of `total` into the files of each size, making them when missing."""
    files = [_open(picture_file(folder, split, size), total, size) for size in sizes]
    for index in range(first, last):
        image = render(scene(split, index))
        for size, file in zip(sizes, files, strict=True):
            file[index] = np.asarray(sent(image, size))
    for file in files:
        file.flush()


def sent(image: Image.Image, size: int) -> Image.Image:
    """The image as a device sends it at that size: a model must know what compression leaves of it."""
    file = io.BytesIO()
    small = image.resize((size, size), Image.Resampling.BICUBIC)
    small.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return Image.open(file)


def _open(path: Path, total: int, size: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    if path.exists():
        return open_memmap(path, mode="r+")
    return open_memmap(path, mode="w+", dtype=np.uint8, shape=(total, size, size, 3))
