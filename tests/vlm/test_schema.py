"""Valid requests are read as OpenAI defines them; others are refused with a message on what to change."""

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


def parse(fields: object) -> ChatRequest:
    return ChatRequest.from_bytes(json.dumps(fields).encode())


def test_every_field_is_parsed() -> None:
    request = parse(
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
    assert (request.seed, request.stop, request.top_logprobs, request.stream) == (7, ("\n",), 2, False)
    image, text = request.messages[0].parts
    assert isinstance(image, Image.Image)
    assert (image.size, text) == ((64, 48), "what?")


def test_by_default_a_request_is_greedy_without_logprobs() -> None:
    request = parse(ask())
    assert (request.max_tokens, request.temperature, request.top_logprobs, request.stop) == (
        None,
        0.0,
        None,
        (),
    )


def test_content_may_be_a_string() -> None:
    fields = ask()
    fields["messages"].insert(0, {"role": "system", "content": "be brief"})
    assert parse(fields).messages[0].parts == ("be brief",)


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ([], "invalid_json", "must be a JSON object"),
        ({}, "invalid_request", "messages must be a list"),
        (ask(model=7), "invalid_request", "model must be a string"),
        (ask(n=2), "invalid_request", "n must be 1"),
        (ask(tools=[{}]), "invalid_request", "remove them"),
        (ask(max_tokens=0), "invalid_request", "max_tokens must be an integer from 1"),
        (ask(max_completion_tokens=True), "invalid_request", "max_completion_tokens must be an integer"),
        (ask(temperature="hot"), "invalid_request", "temperature must be a number from 0 to 2"),
        (ask(top_logprobs=2), "invalid_request", "needs logprobs: true"),
        (ask(logprobs=True, top_logprobs=21), "invalid_request", "from 0 to 20"),
        (ask(stop=[1]), "invalid_request", "stop must be a string or a list"),
        (ask(stop=["a"] * 5), "invalid_request", "at most 4"),
        ({"messages": ["hello"]}, "invalid_request", "messages[0].role must be one of"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_request", "messages[0].content must be"),
        (ask({"type": "text", "text": "what?"}), "missing_image", "add a part of type image_url"),
        (ask(image_part()), "missing_question", "add a part of type text"),
        (ask({"type": "audio"}), "invalid_request", "messages[0].content[0] must be"),
        (
            {"messages": [{"role": "system", "content": [image_part()]}]},
            "invalid_request",
            "images are allowed in user messages only",
        ),
        (ask(image_part("http://camera/1.jpg")), "image_not_data_url", "the server downloads no image"),
        (ask(image_part("file:///etc/passwd")), "image_not_data_url", "must be a data URL"),
        (
            ask(image_part("data:image/jpeg,abc")),
            "image_not_base64",
            "must have the form data:image/jpeg;base64",
        ),
        (ask(image_part("data:image/jpeg;base64,!!!")), "image_not_base64", "invalid base64"),
        (ask(image_part(data_url(b"no image"))), "image_undecodable", "send it as JPEG, PNG or WEBP"),
        (ask(image_part(data_url(encoded("BMP")))), "image_undecodable", "send it as JPEG, PNG or WEBP"),
    ],
)
def test_an_invalid_or_unsupported_request_is_refused(fields: object, code: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(fields)
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert message in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not JSON"):
        ChatRequest.from_bytes(body)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    with pytest.raises(InvalidRequest, match="9000x9000 pixels"):
        open_data_url(data_url(bomb.getvalue()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_incomplete_file_is_refused_when_decoded(kind: str) -> None:
    image = encoded(kind)
    image = open_data_url(data_url(image[: len(image) // 2]))
    with pytest.raises(InvalidRequest, match="incomplete or damaged"):
        decode(image)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotated by 90 degrees
    image = open_data_url(data_url(encoded(exif=exif)))
    assert (image.size, decode(image).size) == ((64, 48), (48, 64))
