"""Requests of real programs become queries, and each invalid one gets an error that names the field."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.http.chat_request import ChatRequest
from agent.http.errors import STATUS, HttpError
from agent.http.placeholder import PLAIN_PICTURE
from http_rig import chat, jpeg_url, picture

TEXT = {"type": "text", "text": "What?"}
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}


def read(fields: Any, **headers: str) -> ChatRequest:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return ChatRequest.from_bytes(
        body, {name.replace("_", "-"): value for name, value in headers.items()}, client="http", max_images=4
    )


def image_bytes(colour: str) -> bytes:
    return base64.b64decode(jpeg_url(colour).partition(",")[2])


def frigate(*, text_first: bool = True, **more: Any) -> dict[str, Any]:
    """What `frigate/genai/plugins/openai.py` sends; in earlier releases the text came last."""
    images = [
        {"type": "image_url", "image_url": {"url": jpeg_url(colour), "detail": "low"}}
        for colour in ("red", "blue")
    ]
    content = [TEXT, *images] if text_first else [*images, TEXT]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}


def llm_vision(**more: Any) -> dict[str, Any]:
    """What the OpenAI provider of the Home Assistant integration LLM Vision sends."""
    content = [
        {"type": "text", "text": "Image 1:"},
        {"type": "image_url", "image_url": {"url": jpeg_url("red")}},
        {"type": "text", "text": "front door:"},
        {"type": "image_url", "image_url": {"url": jpeg_url("blue")}},
        {"type": "text", "text": "What happens?"},
    ]
    return {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": content},
        ],
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        **more,
    }


@pytest.mark.parametrize("text_first", [True, False])
def test_frigate_is_understood(text_first: bool) -> None:
    request = read(frigate(text_first=text_first), X_Stainless_Read_Timeout="60.0")
    assert request.query.question == "What?"
    assert request.query.images == (image_bytes("red"), image_bytes("blue"))
    assert request.query.deadline_ms == 60_000
    assert (request.query.pin, request.query.arm, request.in_stream) == (None, None, False)


def test_the_bare_text_of_older_releases_of_frigate_is_understood() -> None:
    images = frigate()["messages"][0]["content"][1:]
    request = read({"model": "gpt-4o", "messages": [{"role": "user", "content": [*images, "What?"]}]})
    assert request.query.question == "What?"
    assert len(request.query.images) == 2


def test_the_structured_review_of_frigate_is_understood() -> None:
    schema = {**SCHEMA, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "review", "strict": True, "schema": schema}}
    form = read(frigate(response_format=wanted)).query.form
    assert (form.kind, form.schema) == ("json", schema)


def test_llm_vision_is_understood() -> None:
    request = read(llm_vision())
    assert request.query.question == "Be brief.\nImage 1:\nfront door:\nWhat happens?"
    assert request.query.images == (image_bytes("red"), image_bytes("blue"))
    assert request.query.max_tokens == 100


def test_the_set_up_and_the_titles_of_llm_vision_ask_without_an_image() -> None:
    request = read({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [TEXT]}]})
    assert not request.has_image
    assert request.query.sources == (PLAIN_PICTURE,)


def test_the_turns_of_a_conversation_have_their_roles() -> None:
    turns = [("system", "Be brief."), ("user", "How many?"), ("assistant", "Two."), ("user", "Of what?")]
    messages = [{"role": role, "content": text} for role, text in turns]
    assert read({"messages": messages}).query.question == (
        "system: Be brief.\nuser: How many?\nassistant: Two.\nuser: Of what?"
    )


@pytest.mark.parametrize(
    ("model", "pin", "arm"),
    [
        ("inarvl-auto", None, None),
        (None, None, None),
        ("gpt-4o", None, None),
        ("inarvl-local", "local", None),
        ("inarvl-cloud", "cloud", None),
        ("local/small", "local", "local/small"),
        ("cloud/big@128#gpu-1", "cloud", "cloud/big@128#gpu-1"),
    ],
)
def test_the_model_says_who_may_answer(model: str | None, pin: str | None, arm: str | None) -> None:
    query = read(chat(model=model)).query
    assert (query.pin, query.arm) == (pin, arm)


def test_fields_of_a_query_over_mqtt_are_in_the_object_inarvl() -> None:
    own = {"id": "7", "pin": "local", "priority": 9, "choices": ["open", "shut"]}
    query = read(chat(inarvl=own)).query
    assert (query.id, query.pin, query.priority, query.form.choices) == ("7", "local", 9, ("open", "shut"))


@pytest.mark.parametrize(
    ("headers", "fields", "deadline_ms"),
    [
        ({}, {}, None),
        ({"X_Inarvl_Deadline_Ms": "1500", "X_Stainless_Read_Timeout": "60"}, {"timeout": 9}, 1500),
        ({"X_Stainless_Read_Timeout": "60"}, {"timeout": 2.5}, 2500),
        ({"X_Stainless_Read_Timeout": "5"}, {}, 5000),
        ({"X_Stainless_Read_Timeout": "600"}, {}, None),
        ({"X_Stainless_Read_Timeout": "None"}, {}, None),
        ({"X_Stainless_Read_Timeout": "nan"}, {}, None),
        ({"X_Stainless_Read_Timeout": "-1"}, {}, None),
    ],
)
def test_the_deadline_is_what_the_caller_states(
    headers: dict[str, str], fields: dict[str, Any], deadline_ms: float | None
) -> None:
    assert read(chat(**fields), **headers).query.deadline_ms == deadline_ms


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        (b"{", "bad_json", None),
        (b"[1]", "bad_json", None),
        (b"[" * 100_000, "bad_json", None),
        (b'{"messages": ' + b"9" * 5000 + b"}", "bad_json", None),
        ({}, "bad_field", "messages"),
        ({"messages": []}, "bad_field", "messages"),
        ({"messages": ["hello"]}, "bad_field", "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "bad_field", "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "bad_field", "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "bad_field", "messages[0].content"),
        (chat(3), "bad_field", "messages[0].content[0]"),
        (chat({"type": "text", "text": None}), "bad_field", "messages[0].content[0]"),
        (chat(TEXT, {"type": "input_audio"}), "bad_field", "messages[0].content[1]"),
        (chat(TEXT, {"type": "image_url", "image_url": {}}), "bad_field", "messages[0].content[1]"),
        (
            chat(TEXT, {"type": "image_url", "image_url": {"url": "https://host/a.jpg"}}),
            "bad_image",
            "messages[0].content[1].image_url",
        ),
        (
            chat(TEXT, {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
            "bad_image",
            "messages[0].content[1].image_url",
        ),
        (
            chat(TEXT, {"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}),
            "bad_image",
            "messages[0].content[1].image_url",
        ),
        (
            chat(TEXT, {"type": "image_url", "image_url": {"url": "data:image/png,abc"}}),
            "bad_image",
            "messages[0].content[1].image_url",
        ),
        (chat(TEXT, *[picture()] * 5), "too_many_images", "messages"),
        (chat(picture()), "missing_question", "messages"),
        (chat({"type": "text", "text": " "}, picture()), "missing_question", "messages"),
        (chat({"type": "text", "text": "x" * 9000}), "bad_field", "messages"),
        (chat({"type": "text", "text": "\ud800"}), "bad_field", None),
        (chat(model=3), "bad_field", "model"),
        (chat(model="llava"), "model_not_found", "model"),
        (chat(model="cloud/"), "bad_field", "model"),
        (chat(model="local/small", inarvl={"pin": "cloud"}), "bad_field", "inarvl.pin"),
        (chat(n=2), "bad_field", "n"),
        (chat(tools=[{"type": "function"}]), "bad_field", "tools"),
        (chat(tool_choice="required"), "bad_field", "tool_choice"),
        (chat(logprobs=True), "bad_field", "logprobs"),
        (chat(stop=["\n"]), "bad_field", "stop"),
        (chat(stream="yes"), "bad_field", "stream"),
        (chat(max_tokens=0), "bad_field", "max_tokens"),
        (chat(max_completion_tokens="many"), "bad_field", "max_completion_tokens"),
        (chat(timeout=0), "bad_field", "timeout"),
        (chat(timeout=True), "bad_field", "timeout"),
        (chat(timeout=[1]), "bad_field", "timeout"),
        (chat(response_format="json"), "bad_field", "response_format"),
        (chat(response_format={"type": "grammar"}), "bad_field", "response_format"),
        (chat(response_format={"type": "json_schema"}), "bad_field", "response_format"),
        (
            chat(response_format={"type": "json_schema", "json_schema": {"schema": {"type": "car"}}}),
            "bad_field",
            "response_format",
        ),
        (
            chat(response_format={"type": "json_object"}, inarvl={"answer": "text"}),
            "bad_field",
            "response_format",
        ),
        (chat(inarvl=[]), "bad_field", "inarvl"),
        (chat(inarvl={"client": "cam"}), "unknown_field", "inarvl.client"),
        (chat(inarvl={"priority": 10}), "bad_field", "inarvl.priority"),
        (chat(inarvl={"pin": "moon"}), "unknown_pin", "inarvl.pin"),
        (chat(inarvl={"choices": ["one"]}), "bad_field", "inarvl.choices"),
        (chat(inarvl={"answer": "poem"}), "bad_field", "inarvl.answer"),
        (chat(inarvl={"id": ""}), "bad_field", "inarvl.id"),
    ],
)
def test_an_invalid_request_gets_an_error_that_names_the_field(
    fields: Any, code: str, param: str | None
) -> None:
    with pytest.raises(HttpError) as raised:
        read(fields)
    assert (raised.value.code, raised.value.param) == (code, param)
    assert STATUS.get(code, 400) in (400, 404)


@pytest.mark.parametrize("stated", ["0", "-5", "soon", "nan", "inf", "1e12"])
def test_an_invalid_deadline_in_the_header_is_refused(stated: str) -> None:
    with pytest.raises(HttpError) as raised:
        read(chat(), X_Inarvl_Deadline_Ms=stated)
    assert raised.value.param == "X-Inarvl-Deadline-Ms"


ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e400,
    "",
    "x",
    "\ud800",
    "\0",
    [],
    [[]],
    [None],
    {},
    {"": {}},
    {"type": []},
]


def changed(value: Any, odd: Any) -> Iterator[Any]:
    """Yields `value` with each of its parts replaced by `odd`, and lists and objects with one more part."""
    yield odd
    if isinstance(value, dict):
        yield {**value, "more": odd}
        for name, part in value.items():
            yield from ({**value, name: other} for other in changed(part, odd))
    elif isinstance(value, list):
        yield [*value, odd]
        for place, part in enumerate(value):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in changed(part, odd))


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_no_value_in_any_place_breaks_the_reader(odd: Any) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    own = {"pin": "local", "priority": 1, "id": "7"}
    form = {"choices": ["open", "shut"], "answer": "choice"}
    for valid in (
        frigate(response_format=schema, stream=True, timeout=3, inarvl=own),
        llm_vision(inarvl=form, tools=[], stop=None, n=1),
    ):
        for request in changed(valid, odd):
            with contextlib.suppress(HttpError):
                read(request)


def test_fields_that_change_nothing_are_accepted() -> None:
    harmless = {"n": 1, "tools": [], "logprobs": False, "stop": None, "user": "a/b", "seed": 3, "store": True}
    assert read(chat(**harmless, stream_options={"include_usage": True})).query.question == "What?"
