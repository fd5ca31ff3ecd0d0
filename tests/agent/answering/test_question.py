"""A question has its image as a person sees it, for its signals and for every arm."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, WebPImagePlugin

from agent.answering.question import Question, QuestionReader
from agent.config.settings import Settings
from agent.messages import images
from agent.messages.images import Mask
from agent.messages.images.preparing import View, prepare
from agent.messages.query import BadQuery, Query
from controller import image_signals

pytestmark = pytest.mark.anyio
AVIF = pytest.param(
    "AVIF", marks=pytest.mark.skipif("AVIF" not in Image.SAVE, reason="this Pillow cannot write AVIF")
)
NATIVE, SMALL = 0, 64
SETTINGS = Settings.model_validate({"device": "d"})


def picture(mode: str = "RGB") -> Image.Image:
    """Light at the left, with one curved edge."""
    across, down = np.meshgrid(np.arange(320), np.arange(200))
    grey = 250 - across // 2 - 80 * (across * down > 20_000)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def read(data: bytes) -> Question:
    return QuestionReader(lambda: (NATIVE, SMALL), SETTINGS).read(Query("q", "what?", data))


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L")).astype(np.float64)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
async def test_an_ordinary_image_is_measured_as_it_came_and_sent_with_its_pixels(
    form: str, mode: str
) -> None:
    data = encoded(picture(mode), form)
    question = read(data)
    (sent,) = await question.images(NATIVE)
    assert np.abs(pixels(sent) - pixels(data)).mean() < 1
    assert question.signals.image == image_signals(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", AVIF])
async def test_a_turned_image_is_upright_for_every_arm_and_for_the_signals(form: str) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    stored = picture().transpose(Image.Transpose.ROTATE_90)
    turned, upright = read(encoded(stored, form, exif=tags, quality=95)), read(encoded(picture(), "PNG"))
    for resolution in (NATIVE, SMALL):
        seen = pixels((await turned.images(resolution))[0])
        expected = pixels((await upright.images(resolution))[0])
        assert seen.shape == expected.shape
        assert np.abs(seen - expected).mean() < 4
    assert turned.signals.image.scene == upright.signals.image.scene
    assert turned.signals.image.brightness == pytest.approx(upright.signals.image.brightness, abs=0.01)
    assert turned.signals.image.sharpness == pytest.approx(upright.signals.image.sharpness, rel=0.1)


def test_signals_are_of_the_white_that_a_transparent_image_shows() -> None:
    image = picture("RGBA")
    image.putalpha(0)
    assert read(encoded(image, "PNG")).signals.image.brightness > 0.99


def test_16_bit_grey_is_not_clipped_in_the_signals() -> None:
    levels = np.asarray(picture("L")).astype(np.uint16) * 257
    signals = read(encoded(Image.fromarray(levels), "PNG")).signals.image
    assert signals.brightness == pytest.approx(read(encoded(picture("L"))).signals.image.brightness, abs=0.01)
    assert signals.bright < 0.1


def test_another_format_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[WebPImagePlugin.WebPImageFile] = []
    load = WebPImagePlugin.WebPImageFile.load

    def recorded(image: WebPImagePlugin.WebPImageFile) -> Any:
        if not any(image is other for other in decoded):
            decoded.append(image)
        return load(image)

    monkeypatch.setattr(WebPImagePlugin.WebPImageFile, "load", recorded)
    prepare(encoded(picture(), "WEBP"), (View(NATIVE), View(SMALL)))
    assert len(decoded) == 1


@pytest.mark.parametrize("data", [b"", b"hello", encoded(picture())[:2000], encoded(picture(), "WEBP")[:400]])
def test_an_undecodable_image_is_rejected(data: bytes) -> None:
    with pytest.raises(BadQuery) as caught:
        read(data)
    assert caught.value.code == "bad_image"


async def test_a_file_is_read_as_the_image_of_a_message_is(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(encoded(picture(), "WEBP", quality=95))
    settings = SETTINGS.model_copy(update={"image_roots": (tmp_path,)})
    reader = QuestionReader(lambda: (NATIVE,), settings)
    question = reader.read(Query("q", "what?", image_path=tmp_path / "a.webp"))
    assert np.abs(pixels((await question.images(NATIVE))[0]) - pixels(encoded(picture(), "PNG"))).mean() < 4


async def test_an_image_is_resized_once_and_outside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm with another resolution may appear after the question was read."""
    question_data = encoded(picture())
    question, threads = read(question_data), []

    def fit(data: bytes, resolution: int, _mask: Mask, _margin_px: int) -> bytes:
        threads.append(threading.current_thread())
        return data[:resolution]

    monkeypatch.setattr("agent.messages.images.decoding.fit", fit)
    assert [await question.images(100) for _ in range(2)] == [(question_data[:100],)] * 2
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_only_what_an_arm_gets_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision needs the size of every view, and only one arm is asked."""
    made = []

    def fit(data: bytes, resolution: int, mask: Mask, margin_px: int) -> bytes:
        made.append(resolution)
        return images.fit(data, resolution, mask, margin_px)

    monkeypatch.setattr("agent.messages.images.preparing.fit", fit)
    monkeypatch.setattr("agent.messages.images.decoding.fit", fit)
    question = read(encoded(picture()))
    assert min(question.payload_bytes(NATIVE), question.payload_bytes(SMALL)) > 0
    assert not made
    (sent,) = await question.images(SMALL)
    assert made == [SMALL]
    assert question.payload_bytes(SMALL) == len(sent)


async def test_an_image_that_is_slow_to_decode_is_made_for_all_arms_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call of the decoding process decodes it again."""
    question = read(encoded(picture(), progressive=True))
    monkeypatch.setattr(images.Decoder, "view", None)
    assert question.payload_bytes(SMALL) == len((await question.images(SMALL))[0])


@pytest.mark.parametrize("quality", [50, 95])
@pytest.mark.parametrize("resolution", [NATIVE, SMALL])
async def test_the_size_of_a_view_is_predicted_from_those_before(quality: int, resolution: int) -> None:
    reader = QuestionReader(lambda: (NATIVE, SMALL), SETTINGS)
    errors = []
    for number in range(20):
        data = encoded(picture().rotate(number), quality=quality)
        question = reader.read(Query(f"q{number}", "what?", data))
        predicted = question.payload_bytes(resolution)
        (sent,) = await question.images(resolution)
        errors.append(abs(predicted - len(sent)) / len(sent))
    assert max(errors[5:]) < 0.25


async def test_several_images_are_resized_in_their_order() -> None:
    data = [encoded(picture()), encoded(picture().rotate(180), "PNG")]
    question = QuestionReader(lambda: (NATIVE, SMALL), SETTINGS).read(Query("q", "same?", images=tuple(data)))
    for sent, came in zip(await question.images(NATIVE), data, strict=True):
        assert np.abs(pixels(sent) - pixels(came)).mean() < 1
    small = await question.images(SMALL)
    assert [pixels(image).shape for image in small] == [(40, 64)] * 2
    assert pixels(small[0])[0, 0] > pixels(small[1])[0, 0]
    assert question.signals.image.bytes == sum(map(len, data))


def test_one_undecodable_image_of_several_is_rejected() -> None:
    with pytest.raises(BadQuery) as caught:
        QuestionReader(lambda: (), SETTINGS).read(Query("q", "same?", images=(encoded(picture()), b"hello")))
    assert caught.value.code == "bad_image"


def test_without_the_switch_a_picture_is_not_recognised_again() -> None:
    switched_off = Settings.model_validate({"device": "d", "privacy": {"remember_looks": False}})
    query = Query("q", "what?", encoded(picture()))
    found = [
        QuestionReader(lambda: (), settings).read(query).signals for settings in (SETTINGS, switched_off)
    ]
    assert [bool(signals.looks) for signals in found] == [True, False]
    assert (found[0].vector() == found[1].vector()).all()
