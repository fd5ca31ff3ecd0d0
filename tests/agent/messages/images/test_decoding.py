"""No image can exhaust the agent's memory, time or workers."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from agent.messages.images import decoding
from agent.messages.images.decoding import MAX_CALLERS, Decoder
from agent.messages.images.decoding_process import DecodingProcess
from agent.messages.images.preparing import View, prepare
from agent.messages.query import BadQuery
from lab.rig.image_bombs import chunks_bomb, png_bomb, scans_bomb, segments_bomb

MASK = (((0.1, 0.1), (0.4, 0.1), (0.3, 0.5)),)
VIEWS = (View(0), View(32), View(32, MASK))


def encoded(form: str, size: tuple[int, int] = (120, 80), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def process() -> Iterator[DecodingProcess]:
    process = DecodingProcess(time_limit_s=0.5)
    yield process
    process.close()


@pytest.fixture
def decoder(process: DecodingProcess) -> Decoder:
    decoder = Decoder()
    decoder._process = process
    return decoder


def code(decoder: Decoder | DecodingProcess, data: bytes) -> str:
    with pytest.raises(BadQuery) as caught:
        decoder.prepare(data, VIEWS)
    return caught.value.code


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_usual_image_is_decoded_in_the_thread(
    form: str, decoder: Decoder, process: DecodingProcess
) -> None:
    data = encoded(form)
    assert decoder.prepare(data, VIEWS).encoded is data
    assert process._child is None


def test_a_phone_photo_is_decoded_in_the_thread(decoder: Decoder, process: DecodingProcess) -> None:
    decoder.prepare(encoded("JPEG", (4032, 3024)), (View(448),))
    assert process._child is None


@pytest.mark.parametrize("options", [{"form": "WEBP"}, {"form": "JPEG", "progressive": True}])
def test_the_process_prepares_the_same_image(
    options: dict[str, Any], decoder: Decoder, process: DecodingProcess
) -> None:
    data = encoded(**options)
    assert decoder.prepare(data, VIEWS) == prepare(data, VIEWS)
    assert process._child is not None


def test_bombs_are_refused_without_decoding(decoder: Decoder, process: DecodingProcess) -> None:
    assert code(decoder, png_bomb(5001)) == "too_large"
    assert code(decoder, scans_bomb(5000, 100)) == "bad_image"
    assert code(decoder, segments_bomb(1000)) == "bad_image"
    assert code(decoder, chunks_bomb(1000)) == "bad_image"
    assert process._child is None


def test_an_image_that_needs_too_long_ends_the_process_and_not_the_next_image(
    process: DecodingProcess,
) -> None:
    assert code(process, segments_bomb(300_000)) == "bad_image"
    process.prepare(encoded("WEBP"), (View(32),))


def test_the_memory_of_the_process_is_limited(
    process: DecodingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.messages.images.decoding_process.COMMAND", LITTLE_MEMORY)
    assert code(process, png_bomb(3000)) in ("bad_image", "too_large")
    process.prepare(encoded("PNG"), (View(32),))


LITTLE_MEMORY = (
    "from agent.messages.images import decoding_process as process; process.MEMORY_BYTES = 2**23; "
    "process.serve()"
)


def test_the_process_starts_again_after_it_was_killed(process: DecodingProcess) -> None:
    process.prepare(encoded("PNG"), (View(32),))
    assert process._child is not None
    process._child.kill()
    process._child.wait()
    process.prepare(encoded("PNG"), (View(32),))


@pytest.mark.parametrize("data", [encoded("PNG"), bytes(2**24)], ids=["unanswered", "unread"])
def test_a_process_that_does_not_answer_is_replaced(
    data: bytes, process: DecodingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hanging:
        hanging.setattr("agent.messages.images.decoding_process.COMMAND", "import time; time.sleep(600)")
        hanging.setattr("agent.messages.images.decoding_process.WAIT_S", 1)
        assert code(process, data) == "bad_image"
    process.prepare(encoded("PNG"), (View(32),))


def test_large_images_leave_workers_for_others(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def wait(*_: object) -> None:
        entered.release()
        leave.wait()

    monkeypatch.setattr(decoder._process, "prepare", wait)
    with ThreadPoolExecutor() as threads:
        for _ in range(MAX_CALLERS):
            threads.submit(decoder.prepare, encoded("WEBP"), ())
            entered.acquire()
        assert code(decoder, encoded("WEBP")) == "busy"
        decoder.prepare(encoded("JPEG"), (View(32),))
        leave.set()


def test_the_images_that_threads_decode_at_the_same_time_share_a_budget(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded("PNG")
    budget = decoding._Budget(decoding.PNG_BYTES * 120 * 80)
    decoder._budget = budget
    running, most = 0, 0

    def counted(*_: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1

    monkeypatch.setattr(decoding, "prepare", counted)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: decoder.prepare(data, ()), range(100)))
    assert most == 1
    assert budget._free == decoding.PNG_BYTES * 120 * 80
