"""A refusal of several images is recognised by its words, with the number that the server accepts."""

from __future__ import annotations

import pytest

from vlm.errors import VlmBusy, VlmError, VlmRefused, VlmUnavailable
from vlm.image_limit import accepted_images

URL = "http://127.0.0.1:8000: "


@pytest.mark.parametrize(
    ("message", "sent", "accepted"),
    [
        ("At most 1 image(s) may be provided in one prompt.", 2, 1),
        ("At most 2 image(s) may be provided in one request.", 4, 2),
        ("vision model only supports a single image per message", 3, 1),
        ("Too many images provided. This model supports up to 5 images", 6, 5),
        ("Too many images in request (9), max 8", 9, 8),
        ("Too many images in request. Maximum is 10.", 11, 10),
        ("Multiple images are not supported", 3, 1),
        ("This model does not support multiple images.", 3, 1),
        ("the number of images exceeds the limit", 4, 3),
        ("Only one image is allowed", 2, 1),
    ],
)
def test_the_number_is_read_from_the_words(message: str, sent: int, accepted: int) -> None:
    assert accepted_images(VlmRefused(URL + message, 400), sent) == accepted
    assert accepted_images(VlmUnavailable(URL + message, 500), sent) == accepted
    assert accepted_images(VlmRefused(URL + message, 400), 1) is None, "a single image has no such reason"


def test_the_code_of_inarvls_own_server_is_enough() -> None:
    assert accepted_images(VlmRefused(URL + "no", 400, "too_many_images"), 3) == 2


@pytest.mark.parametrize(
    "message",
    [
        "image 2 cannot be decoded",
        "could not decode one image",
        "Each image must be at most 5 MB; image too large",
        "The image exceeds the maximum size of 20 MB",
        "the image is 9000x9000 pixels, more than 64000000; send a smaller one",
        "does not support images",
        "max_tokens is not supported",
        "temperature: only 1 is supported with image input",
        "",
    ],
)
def test_other_refusals_do_not_limit_the_number(message: str) -> None:
    assert accepted_images(VlmRefused(URL + message, 400), 3) is None


@pytest.mark.parametrize("error", [VlmBusy("busy"), VlmError("?"), VlmRefused(URL + "too many images", 401)])
def test_other_errors_do_not_limit_the_number(error: VlmError) -> None:
    assert accepted_images(error, 3) is None
