"""Valid requests are read as OpenAI defines them; others are refused with a message on what to change."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from lab.rig.image_bombs import chunks_bomb, scans_bomb, segments_bomb
from vlm.errors import InvalidRequest
from vlm.images import decode, open_data_url
from vlm.schema import MAX_IMAGES, ChatRequest

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
        (ask(stop=5), "invalid_request", "stop must be a string or a list"),
        (ask(stop="a" * 257), "invalid_request", "at most 256 characters"),
        (ask(seed=2**63), "invalid_request", "seed must be an integer"),
        (ask(logit_bias={"1": 2}), "invalid_request", "logit_bias is not supported; remove it"),
        (ask(frequency_penalty=0.5), "invalid_request", "frequency_penalty is not supported"),
        (ask(tool_choice="required"), "invalid_request", "tool_choice is not supported"),
        (ask(guided_regex="a+"), "invalid_request", "guided_regex is not supported"),
        (ask(structured_outputs={"json": {}}), "invalid_request", "structured_outputs.json is not supported"),
        (ask(structured_outputs=["a"]), "invalid_request", "structured_outputs must be an object"),
        (ask(guided_choice=[]), "invalid_request", "guided_choice must be a list of 1 to 64 strings"),
        (ask(guided_choice=["a"] * 65), "invalid_request", "guided_choice must be a list of 1 to 64"),
        (ask(guided_choice=["a", 1]), "invalid_request", "each choice must be a string of 1 to 200"),
        (ask(guided_choice=["a", " b"]), "invalid_request", "begins or ends with a blank"),
        (ask(guided_choice=["a", "a"]), "invalid_request", "the choices must differ"),
        (ask(guided_choice=["a", "\ud83d"]), "invalid_unicode", "half of a character"),
        (ask(guided_choice=["a", "b\nc"], stop="\n"), "invalid_request", "contains a stop text"),
        (
            ask(guided_choice=["a"], structured_outputs={"choice": ["a"]}),
            "invalid_request",
            "structured_outputs.choice and guided_choice cannot be combined",
        ),
        (ask(response_format={"type": "json_object"}), "invalid_request", "json_object is not supported"),
        (ask(response_format="json"), "invalid_request", "response_format None is not supported"),
        (ask(stop=[1]), "invalid_request", "stop must be a string or a list"),
        (ask(stop=["a"] * 5), "invalid_request", "at most 4"),
        ({"messages": ["hello"]}, "invalid_request", "messages[0].role must be one of"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_request", "messages[0].content must be"),
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


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "none", "tools": [], "logit_bias": {}, "presence_penalty": 0, "n": 1},
        {"response_format": {"type": "text"}},
        {"structured_outputs": {"choice": None, "disable_any_whitespace": False}},
        {"repetition_penalty": 1.0, "modalities": ["text"], "frequency_penalty": None},
    ],
)
def test_unsupported_fields_with_values_that_change_nothing_are_accepted(fields: Fields) -> None:
    assert parse(ask(**fields)).choices == ()


@pytest.mark.parametrize(
    ("schema", "choices"),
    [
        ({"type": "string", "enum": ["yes", "no"]}, ('"yes"', '"no"')),
        ({"title": "A", "enum": ["é", 1, 1, None, True]}, ('"é"', "1", "null", "true")),
        ({"const": 5}, ("5",)),
        ({"type": "boolean"}, ("true", "false")),
        (
            {
                "type": "object",
                "properties": {"open": {"type": "boolean"}, "side": {"enum": ["left"]}},
                "required": ["open", "side"],
                "additionalProperties": False,
            },
            ('{"open": true, "side": "left"}', '{"open": false, "side": "left"}'),
        ),
    ],
)
def test_a_json_schema_with_few_values_is_read_as_choices(schema: Fields, choices: tuple[str, ...]) -> None:
    given = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert parse(ask(response_format=given)).choices == choices


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "string"},
        {"type": "integer", "minimum": 0, "maximum": 9},
        {"enum": []},
        {"enum": ["a", ["b"]]},
        {"enum": [float("nan")]},
        {"enum": list(range(65))},
        {"enum": ["a"], "minLength": 3},
        {"anyOf": [{"const": 1}]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"const": 1}}},
        {
            "type": "object",
            "properties": {n: {"enum": [1, 2, 3, 4, 5]} for n in "abc"},
            "required": ["a", "b", "c"],
        },
    ],
)
def test_any_other_json_schema_is_refused(schema: object) -> None:
    given = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    with pytest.raises(InvalidRequest, match="only JSON schemas with at most 64 values"):
        parse(ask(response_format=given))


def test_a_developer_is_a_system() -> None:
    fields = ask()
    fields["messages"].insert(0, {"role": "developer", "content": "be brief"})
    assert [message.role for message in parse(fields).messages] == ["system", "user"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not JSON"):
        ChatRequest.from_bytes(body)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    bomb = io.BytesIO()
    Image.new("1", (5001, 5000)).save(bomb, "PNG")
    with pytest.raises(InvalidRequest, match="5001x5000 pixels"):
        open_data_url(data_url(bomb.getvalue()))


@pytest.mark.parametrize("bomb", [scans_bomb(64, 100), segments_bomb(1000), chunks_bomb(1000)])
def test_a_file_that_is_expensive_to_decode_is_refused(bomb: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"scans|parts"):
        open_data_url(data_url(bomb))


def test_the_images_of_a_request_have_limits_together(monkeypatch: pytest.MonkeyPatch) -> None:
    question = {"type": "text", "text": "what?"}
    small, large = image_part(), image_part(data_url(encoded("PNG", (400, 250))))
    parse(ask(*[small] * MAX_IMAGES, question))
    with pytest.raises(InvalidRequest, match="more than 16 images"):
        parse(ask(*[small] * (MAX_IMAGES + 1), question))
    monkeypatch.setattr("vlm.schema.MAX_PIXELS_TOGETHER", 250_000)
    parse(ask(large, large, question))
    with pytest.raises(InvalidRequest, match="250000 pixels together"):
        parse(ask(large, large, large, question))


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
