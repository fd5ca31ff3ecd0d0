"""Every payload becomes a query, or an error that says what to change."""

import base64
import json
from typing import Any

import pytest

from agent.messages.address import Address
from agent.messages.query import BadQuery, Query, read_payload
from agent.messages.topics import Topics

JPEG = b"\xff\xd8\xff\xe0 and so on"
VALID = {"id": "7", "question": "How many?", "image": base64.b64encode(JPEG).decode()}


def read(payload: bytes, user: dict[str, str] | None = None) -> Query:
    return Query.from_fields(*read_payload(payload, user))


def test_json_round_trip() -> None:
    query = Query(
        id="7",
        question="How many?",
        image=JPEG,
        deadline_ms=1500.0,
        pin="local",
        max_tokens=4,
        client="cam",
        response_topic="a/b",
        correlation="c-1",
    )
    assert read(query.to_bytes()) == query


def test_the_fields_of_a_raw_image_are_user_properties() -> None:
    query = read(JPEG, {"question": "What?", "id": "3", "deadline_ms": "250", "traceparent": "ignored"})
    assert (query.id, query.question, query.image, query.deadline_ms) == ("3", "What?", JPEG, 250.0)


def test_a_query_without_an_id_gets_a_generated_one() -> None:
    assert read(JPEG, {"question": "What?"}).id


@pytest.mark.parametrize(
    ("change", "code", "hint"),
    [
        ({"question": None}, "missing_question", "question"),
        ({"question": "  "}, "missing_question", "question"),
        ({"question": "x" * 5000}, "bad_field", "shorten"),
        ({"image": None}, "missing_image", "exactly one"),
        ({"image": "?"}, "bad_image", "base64"),
        ({"image": 5}, "bad_image", "base64"),
        ({"image_url": "file:///a.jpg"}, "missing_image", "exactly one"),
        ({"image": None, "image_url": "http://host/a.jpg"}, "bad_image", "file:"),
        ({"pin": "moon"}, "unknown_pin", "local or cloud"),
        ({"pin": ["local"]}, "unknown_pin", "local or cloud"),
        ({"deadline_ms": 0}, "deadline_expired", "time that remains"),
        ({"deadline_ms": "soon"}, "bad_field", "number"),
        ({"deadline_ms": float("nan")}, "bad_field", "number"),
        ({"deadline_ms": True}, "bad_field", "number"),
        ({"max_tokens": 0}, "bad_field", "at least 1"),
        ({"id": ""}, "bad_field", "characters"),
        ({"id": 7}, "bad_field", "string"),
        ({"client": "a/b"}, "bad_field", "topic level"),
        ({"response_topic": "a/#"}, "bad_response_topic", "wildcards"),
        ({"response_topic": "inarvl/cam/query"}, "bad_response_topic", "result"),
        ({"qeustion": "x"}, "unknown_field", "did you mean question?"),
        ({"zzz": 1}, "unknown_field", "known fields"),
    ],
)
def test_each_error_has_a_code_and_says_what_to_change(change: dict[str, Any], code: str, hint: str) -> None:
    fields = {name: value for name, value in (VALID | change).items() if value is not None}
    with pytest.raises(BadQuery) as caught:
        read(json.dumps(fields).encode())
    assert caught.value.code == code
    assert hint in str(caught.value)


@pytest.mark.parametrize("payload", [b"", b"{", b"\x00\x01", b"[1]", b"7", b"[" * 100_000])
def test_a_payload_that_is_not_a_query_is_bad_json(payload: bytes) -> None:
    with pytest.raises(BadQuery) as caught:
        read(payload)
    assert caught.value.code == "bad_json"


def test_a_raw_image_with_another_image_is_rejected() -> None:
    with pytest.raises(BadQuery, match="remove image"):
        read(JPEG, {"question": "What?", "image_url": "file:///a.jpg"})


class TestAddress:
    topics = Topics("cam")

    def test_mqtt5_has_precedence_over_json_and_json_over_the_default(self) -> None:
        fields = {"response_topic": "from/json", "client": "me"}
        assert Address.of(fields, self.topics, response="from/mqtt").topic == "from/mqtt"
        assert Address.of(fields, self.topics).topic == "from/json"
        assert Address.of({"client": "me"}, self.topics).topic == "inarvl/cam/result/me"
        assert Address.of({}, self.topics).topic == "inarvl/cam/result/anonymous"

    @pytest.mark.parametrize("topic", ["a/+", "$SYS/x", "inarvl/cam/query", ""])
    def test_an_invalid_response_topic_falls_back_to_the_default(self, topic: str) -> None:
        assert Address.of({}, self.topics, response=topic).topic == "inarvl/cam/result/anonymous"

    def test_an_invalid_query_keeps_its_id_and_correlation(self) -> None:
        address = Address.of({"id": "7", "correlation": "c", "pin": "moon"}, self.topics, correlation=b"\x01")
        assert (address.query_id, address.mirror, address.correlation) == ("7", "c", b"\x01")
