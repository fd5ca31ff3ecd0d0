"""Requests that cannot be honoured are refused by name; the rest is read as OpenAI means it."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from vlm.errors import InvalidRequest
from vlm.images import decode, open_data_url
from vlm.schema import ChatRequest

Fields = dict[str, Any]


def encoded(kind: str = "JPEG", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 90).save(file, kind, **options)
    return file.getvalue()


def data_url(image: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"


def image_part(url: str | None = None) -> Fields:
    return {"type": "image_url", "image_url": {"url": url or data_url(encoded())}}


def ask(*parts: Fields, **fields: Any) -> Fields:
    content = [*parts] or [image_part(), {"type": "text", "text": "what?"}]
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


def read(fields: object) -> ChatRequest:
    return ChatRequest.from_bytes(json.dumps(fields).encode())


def test_a_full_request_is_read() -> None:
    request = read(
        ask(
            max_completion_tokens=9,
            max_tokens=3,
            temperature=0.5,
            top_p=0.9,
            seed=7,
            stop="\n",
            logprobs=True,
            top_logprobs=2,
            user="someone",
        )
    )
    assert (request.model, request.max_tokens, request.temperature, request.top_p) == ("m", 9, 0.5, 0.9)
    assert (request.seed, request.stop, request.tops, request.stream) == (7, ("\n",), 2, False)
    image, text = request.messages[0].parts
    assert isinstance(image, Image.Image)
    assert (image.size, text) == ((64, 48), "what?")


def test_a_bare_request_is_greedy_and_unscored() -> None:
    request = read(ask())
    assert (request.max_tokens, request.temperature, request.tops, request.stop) == (None, 0.0, None, ())


def test_a_string_is_content_too() -> None:
    fields = ask()
    fields["messages"].insert(0, {"role": "system", "content": "be brief"})
    assert read(fields).messages[0].parts == ("be brief",)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ([], "invalid_json", "must be a JSON object"),
        ({}, "invalid_request", "messages must be a list"),
        (ask(model=7), "invalid_request", "model must be a string"),
        (ask(n=2), "invalid_request", "n must be 1"),
        (ask(tools=[{}]), "invalid_request", "leave them out"),
        (ask(max_tokens=0), "invalid_request", "max_tokens must be a whole number from 1"),
        (ask(max_completion_tokens=True), "invalid_request", "max_completion_tokens must be a whole number"),
        (ask(temperature="hot"), "invalid_request", "temperature must be a number from 0 to 2"),
        (ask(top_logprobs=2), "invalid_request", "needs logprobs: true"),
        (ask(logprobs=True, top_logprobs=21), "invalid_request", "from 0 to 20"),
        (ask(stop=[1]), "invalid_request", "stop must be a text or a list"),
        (ask(stop=["a"] * 5), "invalid_request", "at most 4"),
        ({"messages": ["hello"]}, "invalid_request", "messages[0].role must be one of"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_request", "messages[0].content must be"),
        (ask({"type": "text", "text": "what?"}), "missing_image", "add a part with type image_url"),
        (ask(image_part()), "missing_question", "add a part with type text"),
        (ask({"type": "audio"}), "invalid_request", "messages[0].content[0] must be"),
        (
            {"messages": [{"role": "system", "content": [image_part()]}]},
            "invalid_request",
            "images belong into the user's messages",
        ),
        (ask(image_part("http://camera/1.jpg")), "image_not_data_url", "this server fetches nothing"),
        (ask(image_part("file:///etc/passwd")), "image_not_data_url", "must be a data URL"),
        (ask(image_part("data:image/jpeg,abc")), "image_not_base64", "must read data:image/jpeg;base64"),
        (ask(image_part("data:image/jpeg;base64,!!!")), "image_not_base64", "base64 is broken"),
        (ask(image_part(data_url(b"no image"))), "image_undecodable", "send one of JPEG, PNG, WEBP"),
        (ask(image_part(data_url(encoded("BMP")))), "image_undecodable", "send one of JPEG, PNG, WEBP"),
    ],
)
def test_what_cannot_be_honoured_is_refused(fields: object, code: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(fields)
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert words in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not JSON"):
        ChatRequest.from_bytes(body)


def test_an_image_of_too_many_pixels_is_refused_from_its_header() -> None:
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    with pytest.raises(InvalidRequest, match="9000x9000 pixels"):
        open_data_url(data_url(bomb.getvalue()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_is_cut_short_is_refused_when_decoded(kind: str) -> None:
    image = encoded(kind)
    picture = open_data_url(data_url(image[: len(image) // 2]))
    with pytest.raises(InvalidRequest, match="cut short or damaged"):
        decode(picture)


def test_an_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by a quarter
    picture = open_data_url(data_url(encoded(exif=exif)))
    assert (picture.size, decode(picture).size) == ((64, 48), (48, 64))
