"""The picture of a question that has none.

Programs ask without an image too: to try a connection, or for the title of an earlier answer. Every arm
answers about an image, so such a question gets a plain grey one.
"""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

SIDE_PX: Final = 64
WARNING: Final = "the request has no image: the model was shown a plain grey one"


def _plain_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIDE_PX, SIDE_PX), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()


PLAIN_PICTURE: Final = _plain_picture()
