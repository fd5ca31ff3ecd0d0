"""Noise and exposure change fewer parts of a made picture than the usual threshold, and objects more."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from agent.config.standing_question import USUAL_CHANGE
from agent.messages.images import Decoder
from agent.watching.frame import changed_parts

SCENES, SIZE, NOISE = 60, (640, 480), 6.0
Pixels = NDArray[np.float64]


def noticed(change: Callable[[Pixels, np.random.Generator], Pixels]) -> float:
    """Returns in which share of the scenes a change reaches the usual threshold."""
    rng, decoder, found = np.random.default_rng(0), Decoder(), 0
    for _ in range(SCENES):
        coarse = rng.integers(20, 230, (6, 8, 3)).astype(np.uint8)
        scene = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)).astype(np.float64)
        pair = [_hash(decoder, pixels, rng) for pixels in (scene, change(scene.copy(), rng))]
        found += changed_parts(*pair) >= USUAL_CHANGE
    return found / SCENES


def _hash(decoder: Decoder, pixels: Pixels, rng: np.random.Generator) -> str:
    file = io.BytesIO()
    noisy = np.clip(pixels + rng.normal(0, NOISE, pixels.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(file, "JPEG", quality=85)
    return decoder.prepare(file.getvalue(), ()).signals.scene


def with_object(share: float) -> Callable[[Pixels, np.random.Generator], Pixels]:
    """Puts a light or dark upright rectangle over a share of the picture."""

    def change(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        height = int((2 * share * pixels.shape[0] * pixels.shape[1]) ** 0.5)
        top, left = rng.integers(0, SIZE[1] - height), rng.integers(0, SIZE[0] - height // 2)
        pixels[top : top + height, left : left + height // 2] = rng.choice([15, 240])
        return pixels

    return change


@pytest.mark.parametrize("gain", [1.0, 1.15], ids=["noise alone", "a longer exposure"])
def test_noise_and_exposure_are_no_change(gain: float) -> None:
    assert noticed(lambda pixels, _rng: gain * pixels) == 0


@pytest.mark.parametrize(("share", "least"), [(0.02, 0.15), (0.05, 0.7), (0.10, 0.95)])
def test_a_large_object_is_a_change(share: float, least: float) -> None:
    found = noticed(with_object(share))
    print(f"an object of {share:.0%} was noticed in {found:.0%}")  # noqa: T201 # for docs/cameras.md
    assert found >= least
