"""The signals of several images: the worst of each defect, the mean content, the total size."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from controller import ImageSignals, combined_signals, image_signals


def signals(seed: int, size: tuple[int, int] = (64, 48)) -> ImageSignals:
    levels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).resize(size).save(file, "JPEG", quality=80)
    return image_signals(file.getvalue())


def test_the_signals_of_one_image_remain_as_they_are() -> None:
    assert combined_signals([signals(0)]) == signals(0)


def test_a_defect_of_any_image_is_a_defect_of_the_question() -> None:
    clear = signals(0)
    poor = replace(
        signals(1), sharpness=0.5, brightness=0.02, contrast=0.01, noise=40.0, dark=0.9, bright=0.05
    )
    for both in (combined_signals([clear, poor]), combined_signals([poor, clear])):
        for name in ("sharpness", "brightness", "contrast", "noise", "dark"):
            assert getattr(both, name) == getattr(poor, name), name
        assert both.bright == max(clear.bright, poor.bright)
        assert both.edges == (clear.edges + poor.edges) / 2


def test_sizes_add_up() -> None:
    images = [signals(0, (64, 48)), signals(1, (30, 96)), signals(2, (640, 480))]
    both = combined_signals(images)
    pixels = sum(image.width * image.height for image in images)
    assert abs(both.width * both.height - pixels) <= both.height
    assert both.bytes == sum(image.bytes for image in images)


def test_only_the_same_images_in_the_same_order_are_the_same_picture() -> None:
    one, other = signals(0), signals(1)
    both, again, swapped = (combined_signals(pair) for pair in ([one, other], [one, other], [other, one]))
    assert (both.picture, both.scene) == (again.picture, again.scene)
    assert both.picture != swapped.picture
    assert both.scene != swapped.scene
    assert len(both.scene) == len(one.scene)


def test_a_png_has_no_quality_to_lose() -> None:
    assert combined_signals([signals(0), replace(signals(1), jpeg_quality=None)]).jpeg_quality is not None
    without = [replace(signals(seed), jpeg_quality=None) for seed in (0, 1)]
    assert combined_signals(without).jpeg_quality is None
