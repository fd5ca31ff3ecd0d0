"""Whatever a request contains, the server answers it or refuses it with status 4xx, and continues."""

import base64
import io
import json
import struct
import zlib
from typing import Any

import aiohttp
import pytest
from PIL import Image

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
DEEP = json.loads("[" * 500 + "]" * 500)
CONTROL_TOKENS = (
    "<image> </s> <end_of_utterance> <fake_token_around_image> <global-img> <row_1_col_1> <|im_start|> "
    "<|im_end|> <|image_pad|> <|video_pad|> <|vision_start|> USER: ASSISTANT: <think> [INST] <s> <pad> <unk>"
)


def picture(kind: str = "PNG", size: tuple[int, int] = (32, 32), mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(header: bytes, data: bytes) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    )


IMAGES = {
    "one pixel": picture(size=(1, 1)),
    "wide": picture(size=(4000, 1)),
    "tall": picture(size=(1, 4000)),
    "grey": picture(mode="L"),
    "bits": picture(mode="1"),
    "16 bits": picture(mode="I;16"),
    "palette": picture(mode="P"),
    "transparent": picture(mode="RGBA"),
    "CMYK": picture("JPEG", mode="CMYK"),
    "WEBP": picture("WEBP"),
    "incomplete": picture()[:60],
    "damaged": picture()[:45] + b"\xff" * 8 + picture()[53:],
    "no pixels": png(struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0), zlib.compress(b"")),
    "no data": png(struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0), b""),
    "invalid EXIF": picture("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "short EXIF": picture("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0"),
}

FIELDS: dict[str, dict[str, Any]] = {
    "a temperature near 0": {"temperature": 1e-300},
    "a temperature of 2": {"temperature": 2},
    "a temperature of 10^400": {"temperature": 10**400},
    "a temperature that is NaN": {"temperature": float("nan")},
    "top_p of 0": {"temperature": 1, "top_p": 0},
    "a large seed": {"temperature": 1, "seed": 2**63 - 1},
    "a small seed": {"temperature": 1, "seed": -(2**63) + 1},
    "a seed of 10^400": {"temperature": 1, "seed": 10**400},
    "max_tokens of 10^400": {"max_tokens": 10**400},
    "a stop text that is a number": {"stop": 5},
    "a stop text that is half a character": {"stop": "\ud83d"},
    "a long stop text": {"stop": "a" * 10_000},
    "a deep stop text": {"stop": DEEP},
    "top_logprobs of 20": {"logprobs": True, "top_logprobs": 20},
    "logprobs that are a text": {"logprobs": "yes"},
    "a deep model": {"model": DEEP},
    "a model that is half a character": {"model": "\ud83d"},
    "a deep response_format": {"response_format": {"type": "json_schema", "json_schema": {"schema": DEEP}}},
    "a deep enum": {"response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": [DEEP]}}}},
    "a deep choice": {"guided_choice": DEEP},
    "a choice that is half a character": {"guided_choice": ["\ud83d", "b"]},
    "a choice with a control token": {"guided_choice": ["</s>", "<image>"]},
    "a choice of control characters": {"guided_choice": ["a\0b", "\u202e"]},
    "deep unknown fields": {"metadata": DEEP, "structured_outputs": {"choice": ["a"], "x": DEEP}},
    "deep logit_bias": {"logit_bias": DEEP},
    "deep messages": {"messages": DEEP},
    "messages that are an object": {"messages": {"role": "user"}},
    "a role that is a list": {"messages": [{"role": [], "content": "x"}]},
}

TEXTS = {
    "half a character": "what is \ud83d?",
    "the other half": "\ude00",
    "control tokens": CONTROL_TOKENS,
    "control characters": "\0\x01\x1b[2J\u202e\ufeff\uffff",
    "a template": "{{ 1/0 }} {% for x in y %}",
    "combining characters": "e" + "\u0301" * 500,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 50,
    "a long text": "a" * 150_000,
    "more tokens than the context": "\U0001f600" * 3000,
}


def part(image: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:;base64,{base64.b64encode(image).decode()}"}}


def user(text: str, *images: bytes) -> dict[str, Any]:
    return {"role": "user", "content": [*map(part, images), {"type": "text", "text": text}]}


CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "the assistant first": [{"role": "assistant", "content": "hello"}, user("what?", picture())],
    "the assistant last": [user("what?", picture()), {"role": "assistant", "content": "it is"}],
    "two users": [user("what?", picture()), user("where?")],
    "two system messages": [{"role": "system", "content": "a"}] * 2 + [user("what?", picture())],
    "the system last": [user("what?", picture()), {"role": "system", "content": "a"}],
    "a developer": [{"role": "developer", "content": "be brief"}, user("what?", picture())],
    "empty parts": [{"role": "user", "content": []}, user("what?", picture())],
    "many images": [user("what?", *[picture()] * 40)],
    "images of different sizes": [user("what?", picture(), picture(size=(90, 20)))],
    "only the system asks": [
        {"role": "system", "content": "what?"},
        {"role": "user", "content": [part(picture())]},
    ],
}


def bodies() -> dict[str, dict[str, Any]]:
    """Every case by its name, as the fields of a request."""
    return {
        **{f"image: {name}": {"messages": [user("what?", image)]} for name, image in IMAGES.items()},
        **{f"text: {name}": {"messages": [user(text, picture())]} for name, text in TEXTS.items()},
        **{
            f"system: {name}": {"messages": [{"role": "system", "content": text}, user("what?", picture())]}
            for name, text in TEXTS.items()
        },
        **{name: {"messages": messages} for name, messages in CONVERSATIONS.items()},
        **{name: {"messages": [user("what?", picture())], **fields} for name, fields in FIELDS.items()},
    }


@pytest.mark.parametrize("model", [pytest.param("llava", marks=pytest.mark.slow), "smolvlm"])
async def test_no_request_causes_an_error_of_the_server(session: aiohttp.ClientSession, model: str) -> None:
    failures = {}
    for name, fields in bodies().items():
        body = json.dumps({"model": model, "max_tokens": 3, **fields})
        async with session.post(CHAT, data=body) as response:
            content = await response.json()
            if response.status != 200 and not 400 <= response.status < 500:
                failures[name] = (response.status, content)
    assert failures == {}


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"messages": [user(TEXTS["half a character"], picture())]}, "invalid_unicode", "\\ud83d, half of"),
        ({"messages": [user(TEXTS["a long text"], picture())]}, "prompt_too_long", "shorten it"),
    ],
)
async def test_what_the_request_causes_is_refused_with_its_reason(
    session: aiohttp.ClientSession, fields: dict[str, Any], code: str, message: str
) -> None:
    body = json.dumps({"model": "llava", "max_tokens": 3, **fields})
    async with session.post(CHAT, data=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (400, code)
    assert message in error["message"]


async def test_a_body_that_cannot_be_read_is_refused(session: aiohttp.ClientSession) -> None:
    for path in (CHAT, "/probe"):
        for encoding in ("gzip", "deflate"):
            headers = {"Content-Encoding": encoding}
            async with session.post(path, data=b"no " + encoding.encode(), headers=headers) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_body")
