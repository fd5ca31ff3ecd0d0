"""Signals are bounded, named, and tell a bad image and a hard question from good and easy ones."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from controller.signals import FEATURES, Signals, SignalsError, image_signals, text_signals


def picture(width: int = 320, height: int = 240) -> Image.Image:
    """Coloured boxes: sharp edges, flat areas."""
    rng = np.random.default_rng(0)
    pixels = np.full((height, width, 3), 128, np.uint8)
    for _ in range(12):
        x, y = rng.integers(0, width), rng.integers(0, height)
        pixels[y : y + 40, x : x + 40] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **how: int) -> bytes:
    data = BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


def test_size_format_and_jpeg_quality_are_those_of_the_image() -> None:
    data = encoded(picture(), quality=70)
    signals = image_signals(data)
    assert (signals.width, signals.height, signals.bytes, signals.format) == (320, 240, len(data), "JPEG")
    assert signals.jpeg_quality == pytest.approx(70, abs=2)
    assert image_signals(encoded(picture(), "PNG")).jpeg_quality is None


def test_a_large_jpeg_is_measured_as_it_came() -> None:
    signals = image_signals(encoded(picture(4000, 3000)))
    assert (signals.width, signals.height) == (4000, 3000)


def test_blur_lowers_sharpness_and_noise_is_told_from_detail() -> None:
    sharp = picture()
    blurred = sharp.filter(ImageFilter.GaussianBlur(4))
    grain = np.random.default_rng(1).normal(0, 12, (240, 320, 3))
    noisy = Image.fromarray((np.asarray(sharp) + grain).clip(0, 255).astype(np.uint8))
    clean, soft, rough = (image_signals(encoded(image, "PNG")) for image in (sharp, blurred, noisy))
    assert soft.sharpness < clean.sharpness / 3
    assert rough.noise > clean.noise + 4
    assert rough.sharpness < clean.sharpness * 1.5


def test_a_dark_image_is_dark_and_a_flat_one_flat() -> None:
    dark = image_signals(encoded(picture().point(lambda level: level // 20), "PNG"))
    assert dark.brightness < 0.1
    assert dark.dark > 0.3
    flat = image_signals(encoded(Image.new("RGB", (64, 64), (90, 90, 90)), "PNG"))
    assert (flat.contrast, flat.edges, flat.noise, flat.entropy) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_can_be_looked_at(mode: str) -> None:
    image = Image.new(mode, (40, 30)) if mode == "I;16" else picture(40, 30).convert(mode)
    assert image_signals(encoded(image, "PNG")).width == 40


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 1)])
def test_thin_images_can_be_looked_at(size: tuple[int, int]) -> None:
    assert image_signals(encoded(Image.new("L", size, 7), "PNG")).entropy == 0.0


@pytest.mark.parametrize("data", [b"", b"hello", encoded(picture())[:900], encoded(picture(), "PNG")[:60]])
def test_what_is_no_whole_image_says_what_to_send(data: bytes) -> None:
    with pytest.raises(SignalsError, match="send a whole JPEG or PNG") as caught:
        image_signals(data)
    assert caught.value.code == "bad_image"


def test_other_formats_are_refused() -> None:
    with pytest.raises(SignalsError):
        image_signals(encoded(picture(), "BMP"))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_too_large_to_decode_is_refused_before_decoding() -> None:
    header = encoded(Image.new("1", (20_000, 6_000)), "PNG")
    with pytest.raises(SignalsError, match="at most 100 million"):
        image_signals(header)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for prefix in (b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(SignalsError):
            image_signals(prefix + data)


@pytest.mark.parametrize(
    ("question", "kind", "flags"),
    [
        ("Is there a red cube?", "yes_no", set()),
        ("How many balls are left of the sign?", "how_many", {"count", "spatial", "read"}),
        ("What colour is the largest cone?", "what", {"colour", "compare"}),
        ("What number is printed on the sign?", "what", {"read", "spatial"}),
        ("Which is bigger, the cube or the ball?", "which", {"compare"}),
        ("Where is the dog?", "where", {"spatial"}),
        ("Describe it.", "other", set()),
        ("", "other", set()),
    ],
)
def test_questions_are_told_apart(question: str, kind: str, flags: set[str]) -> None:
    signals = text_signals(question)
    assert signals.kind == kind
    asked = {name for name in ("count", "compare", "spatial", "read", "colour") if getattr(signals, name)}
    assert asked == flags


@given(st.text(max_size=200))
def test_any_text_gives_a_bounded_vector_with_a_name_for_each_number(question: str) -> None:
    vector = Signals(image_signals(encoded(picture(40, 40))), text_signals(question)).vector()
    assert vector.shape == (len(FEATURES),)
    least = np.array([-1.0 if name.startswith("wording") else 0.0 for name in FEATURES])
    assert ((vector >= least) & (vector <= 1)).all()


def test_the_same_way_of_asking_is_known_again() -> None:
    """Numbers count as one word; another question has another wording."""
    told = [
        text_signals(text).wording
        for text in ("Is gate 3 open?", "is gate 12 open", "What does the dial say?")
    ]
    assert told[0] == told[1] != told[2]
    assert any(told[2])
