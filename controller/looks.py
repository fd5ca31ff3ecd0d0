"""Names under which what a question shows may be met again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 8
BYTES: Final = 8
SORTS: Final = ("picture", "scene", "scene asked so")

Looks = tuple[str, ...]
"""One name for each of `SORTS`; empty where nothing was seen."""


def digest(data: bytes) -> str:
    """The same for the same bytes, today and after a restart; 16 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=BYTES).hexdigest()


def average_hash(grey: Image.Image) -> str:
    """What stays the same when a scene is taken or drawn again, or at another size; 16 hexadecimal digits.

    Which of 8 by 8 parts of a grey image are lighter than it is on average.
    """
    parts = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    return np.packbits(parts > parts.mean()).tobytes().hex()


def looks_of(picture: str, scene: str, wording: Sequence[int]) -> Looks:
    """Of a question with these hashes of its image, and these of its words."""
    return picture, scene, scene + digest(repr(tuple(wording)).encode())
