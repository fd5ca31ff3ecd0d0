"""The image signals of a question about several images."""

from __future__ import annotations

from collections.abc import Sequence

from controller.image_signals import ImageSignals
from controller.looks import digest


def combined_signals(images: Sequence[ImageSignals]) -> ImageSignals:
    """Combines the signals of all images of one question; those of a single image remain as they are.

    The answer is right only if every image is seen well enough, and which of them the question needs is not
    known. Each signal that makes an image hard to see therefore has its worst value. `edges` and `entropy`
    describe the content, not a defect, and are means. Sizes are those of the images side by side, so that
    pixels and bytes add up as the cost of sending them does, and `bits_per_pixel` is their common value.
    `picture` and `scene` are the same again only for the same images in the same order.

    Args:
        images: at least one.
    """
    if len(images) == 1:
        return images[0]
    height = max(image.height for image in images)
    pixels = sum(image.width * image.height for image in images)
    qualities = [image.jpeg_quality for image in images if image.jpeg_quality is not None]
    return ImageSignals(
        width=max(1, round(pixels / height)),
        height=height,
        bytes=sum(image.bytes for image in images),
        format=images[0].format,
        jpeg_quality=min(qualities, default=None),
        brightness=min(image.brightness for image in images),
        contrast=min(image.contrast for image in images),
        dark=max(image.dark for image in images),
        bright=max(image.bright for image in images),
        sharpness=min(image.sharpness for image in images),
        noise=max(image.noise for image in images),
        edges=sum(image.edges for image in images) / len(images),
        entropy=sum(image.entropy for image in images) / len(images),
        picture=digest("".join(image.picture for image in images).encode()),
        scene=digest("".join(image.scene for image in images).encode()),
    )
