"""Every payload becomes a query, or an error that says what to change."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from agent.messages.address import Address
from agent.messages.payload import read_payload
from agent.messages.query import BadQuery, Query, response_topic
from agent.messages.reply_rules import ReplyRules
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
        arm="local/small@64#board",
        max_tokens=4,
        client="cam",
        response_topic="a/b",
        correlation="c-1",
    )
    assert read(query.to_bytes()) == query


def test_the_arm_of_a_query_also_pins_it_to_its_tier() -> None:
    query = read(json.dumps({**VALID, "arm": "cloud/big"}).encode())
    assert (query.arm, query.pin) == ("cloud/big", "cloud")


def test_several_images_are_read_in_their_order_and_written_again() -> None:
    text, other = VALID["image"], base64.urlsafe_b64encode(JPEG + b"?>").decode()
    images = [f"data:image/jpeg;base64,{text}", "file:///srv/a%20b.jpg", f"{other.rstrip('=')}\n"]
    fields = {"id": "7", "question": "Same?", "images": images}
    query = read(json.dumps(fields).encode())
    assert query.images == (JPEG, Path("/srv/a b.jpg"), JPEG + b"?>")
    assert query.sources == query.images
    assert read(query.to_bytes()) == query


def test_a_list_may_have_a_single_image() -> None:
    query = read(json.dumps({"question": "What?", "images": [VALID["image"]]}).encode())
    assert query.sources == (JPEG,) == read(json.dumps(VALID).encode()).sources


def test_the_fields_of_a_raw_image_are_user_properties() -> None:
    query = read(JPEG, {"question": "What?", "id": "3", "deadline_ms": "250", "traceparent": "ignored"})
    assert (query.id, query.question, query.image, query.deadline_ms) == ("3", "What?", JPEG, 250.0)


def test_a_query_without_an_id_gets_a_generated_one() -> None:
    assert read(JPEG, {"question": "What?"}).id


def test_base64_is_read_as_people_write_it() -> None:
    image = JPEG + bytes(range(256))  # 267 bytes: needs no padding
    for data in (image, image[:-1], image[:-2]):
        text = base64.b64encode(data).decode()
        url_safe = base64.urlsafe_b64encode(data).decode()
        assert text != url_safe
        for written in (
            text,
            url_safe,
            text.rstrip("="),
            url_safe.rstrip("="),
            base64.encodebytes(data).decode(),
            text.replace("A", "\r\n A\t"),
            f"  {text}\n",
            f"data:image/jpeg;base64,{text}",
            f"data:image/heic;name=a.heic;base64,{url_safe.rstrip('=')}",
            f"DATA:;BASE64,\n{text}",
        ):
            assert read(json.dumps(VALID | {"image": written}).encode()).image == data


@pytest.mark.parametrize(
    "start",
    [
        JPEG,
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x20ftypavif",
        b"\0\0\0\x18ftypmif1",
    ],
)
def test_an_image_of_any_format_may_be_the_payload(start: bytes) -> None:
    assert read(start + b"...", {"question": "What?"}).image == start + b"..."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_may_start_with_a_byte_order_mark(encoding: str) -> None:
    assert read(json.dumps(VALID).encode(encoding)).question == "How many?"


def test_fields_that_start_with_an_underscore_are_ignored() -> None:
    fields = VALID | {"_msgid": "a1.b2", "_": None}
    assert read(json.dumps(fields).encode()) == read(json.dumps(VALID).encode())


@pytest.mark.parametrize(
    ("written", "text"), [("7", "7"), ("-1", "-1"), ("1716123456.25", "1716123456.25"), ("0", "0")]
)
def test_a_numeric_id_is_read_as_its_text(written: str, text: str) -> None:
    payload = json.dumps(VALID).replace('"7"', written).encode()
    fields, image = read_payload(payload)
    assert Query.from_fields(fields, image).id == text
    assert Address.of(fields, ReplyRules(Topics("cam"))).query_id == text


@pytest.mark.parametrize(
    ("change", "code", "hint"),
    [
        ({"question": None}, "missing_question", "question"),
        ({"question": "  "}, "missing_question", "question"),
        ({"question": "x" * 9000}, "bad_field", "shorten"),
        ({"image": None}, "missing_image", "exactly one"),
        ({"image": "?"}, "bad_image", "base64"),
        ({"image": 5}, "bad_image", "base64"),
        ({"image": "data:image/png,abc"}, "bad_image", "data URL"),
        ({"image": "data:image/png;base64"}, "bad_image", "data URL"),
        ({"image": "data:image/png;base64,?"}, "bad_image", "not valid base64"),
        ({"image": "AAAAA"}, "bad_image", "not valid base64"),
        ({"image": "AA==AA"}, "bad_image", "not valid base64"),
        ({"image": "AAé="}, "bad_image", "not valid base64"),
        ({"image_url": "file:///a.jpg"}, "missing_image", "exactly one"),
        ({"images": [VALID["image"]]}, "missing_image", "exactly one"),
        ({"image": None, "images": []}, "bad_image", "one or more"),
        ({"image": None, "images": VALID["image"]}, "bad_image", "images must be a list"),
        ({"image": None, "images": [VALID["image"], None]}, "bad_image", "images[1]"),
        ({"image": None, "images": [VALID["image"], 7]}, "bad_image", "images[1] must be a string"),
        ({"image": None, "images": ["?", VALID["image"]]}, "bad_image", "images[0] is not valid base64"),
        ({"image": None, "images": ["data:image/png,abc"]}, "bad_image", "images[0] is a data URL"),
        ({"image": None, "images": ["file://host/a.jpg"]}, "bad_image", "images[0] must be file:"),
        ({"image": None, "image_url": "http://host/a.jpg"}, "bad_image", "file:"),
        ({"pin": "moon"}, "unknown_pin", "local or cloud"),
        ({"pin": ["local"]}, "unknown_pin", "local or cloud"),
        ({"arm": "small"}, "bad_field", "local/MODEL"),
        ({"arm": ["local/small"]}, "bad_field", "name of an arm"),
        ({"arm": "cloud/\ud800"}, "bad_field", "Unicode"),
        ({"arm": "cloud/big", "pin": "local"}, "bad_field", "remove one"),
        ({"deadline_ms": 0}, "deadline_expired", "time that remains"),
        ({"deadline_ms": "soon"}, "bad_field", "number"),
        ({"deadline_ms": float("nan")}, "bad_field", "number"),
        ({"deadline_ms": True}, "bad_field", "number"),
        ({"max_tokens": 0}, "bad_field", "at least 1"),
        ({"id": ""}, "bad_field", "characters"),
        ({"id": True}, "bad_field", "string"),
        ({"id": [7]}, "bad_field", "string"),
        ({"id": float("nan")}, "bad_field", "string"),
        ({"id": 10**200}, "bad_field", "128"),
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
    with pytest.raises(BadQuery, match="remove image"):
        read(JPEG, {"question": "What?", "images": "[]"})


class TestAddress:
    rules = ReplyRules(Topics("cam"), allow=("from",))

    def test_mqtt5_has_precedence_over_json_and_json_over_the_default(self) -> None:
        fields = {"response_topic": "from/json", "client": "me"}
        assert Address.of(fields, self.rules, response="from/mqtt").topic == "from/mqtt"
        assert Address.of(fields, self.rules).topic == "from/json"
        assert Address.of({"client": "me"}, self.rules).topic == "inarvl/cam/result/me"
        assert Address.of({}, self.rules).topic == "inarvl/cam/result/anonymous"

    @pytest.mark.parametrize("topic", ["a/+", "$SYS/x", "inarvl/cam/query", "", "zigbee2mqtt/door/set"])
    def test_a_refused_response_topic_falls_back_to_the_default_with_an_error(self, topic: str) -> None:
        address = Address.of({}, self.rules, response=topic)
        assert address.topic == "inarvl/cam/result/anonymous"
        assert address.fault is not None
        assert address.fault.code == "bad_response_topic"

    def test_an_invalid_query_keeps_its_id_and_correlation(self) -> None:
        address = Address.of({"id": "7", "correlation": "c", "pin": "moon"}, self.rules, correlation=b"\x01")
        assert (address.query_id, address.mirror, address.correlation) == ("7", "c", b"\x01")


@pytest.mark.parametrize(
    ("asked_at", "expected"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("1795996800.25", 1795996800.25),
        ("2026-11-30T00:00:00Z", 1795996800.0),
        ("2026-11-30t01:00:00.123456789+01:00", 1795996800.123456789),
    ],
)
def test_asked_at_is_in_seconds_or_as_in_rfc_3339(asked_at: object, expected: float) -> None:
    query = Query.from_fields({**VALID, "asked_at": asked_at})
    assert query.asked_at == pytest.approx(expected, abs=1e-6)
    assert read(query.to_bytes()) == query


@pytest.mark.parametrize(
    "asked_at",
    [
        *(True, -1, 1.8e12, "nan", "inf", "now", [], "1" * 400),
        *("2026-11-30", "2026-11-30T00:00:00", "2026-13-30T00:00:00Z", "2026-11-30T00:00:00+99:00"),
    ],
)
def test_another_asked_at_is_refused(asked_at: object) -> None:
    with pytest.raises(BadQuery, match="asked_at") as caught:
        Query.from_fields({**VALID, "asked_at": asked_at})
    assert caught.value.code == "bad_field"


@pytest.mark.parametrize(
    "fields",
    [
        {"question": "is \ud83d here?"},
        {"question": "what?", "answer": "choice", "choices": ["\udc00", "b"]},
        {"question": "what?", "_\ud83d": 1},
    ],
    ids=["question", "choice", "key"],
)
def test_half_of_a_surrogate_pair_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadQuery, match="surrogate pair") as raised:
        read(json.dumps({**VALID, **fields}).encode())
    assert raised.value.code == "bad_field"


def test_a_whole_surrogate_pair_is_a_character() -> None:
    fields, _ = read_payload(rb'{"question": "is \ud83d\ude42 here?"}')
    assert fields["question"] == "is \U0001f642 here?"


@pytest.mark.parametrize("url", ["file:.", "file:a.jpg", "file:", "file:///a%00b", "file://host/a", 7])
def test_the_file_of_an_image_has_an_absolute_path(url: object) -> None:
    with pytest.raises(BadQuery, match="file:///path") as raised:
        read(json.dumps({"question": "what?", "image_url": url}).encode())
    assert raised.value.code == "bad_image"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"pin": "x" * 100_000}, "unknown_pin"),
        ({"pin": ["x" * 100_000]}, "unknown_pin"),
        ({"x" * 100_000: 1}, "unknown_field"),
        ({"answer": "x" * 100_000}, "bad_field"),
        ({"response_topic": "#" * 100}, "bad_response_topic"),
    ],
)
def test_an_error_quotes_at_most_200_characters(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(BadQuery) as caught:
        Query.from_fields({"question": "What?", "image": "aGVsbG8=", **fields})
    assert caught.value.code == code
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("topic", ["/".join("a" * 21), "a" * 513, "\u20ac" * 171])
def test_a_response_topic_that_a_broker_may_not_accept_is_rejected(topic: str) -> None:
    with pytest.raises(BadQuery) as caught:
        response_topic(topic)
    assert caught.value.code == "bad_response_topic"
    assert response_topic("/".join("a" * 20)) is not None


def test_a_payload_of_very_many_values_is_rejected_before_it_is_read() -> None:
    with pytest.raises(BadQuery, match="JSON values"):
        read_payload(b'{"schema":[' + b"[]," * 100_000 + b"1]}")


@pytest.mark.parametrize(("value", "dry"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_a_dry_run_is_a_flag(value: object, dry: bool) -> None:
    query = Query.from_fields({"question": "Is it on?", "image": "bm8=", "dry_run": value})
    assert query.dry_run is dry
    fields, image = read_payload(query.to_bytes())
    assert Query.from_fields(fields, image) == query


@pytest.mark.parametrize("value", ["yes", 1, 0, [], "True"])
def test_another_value_of_dry_run_is_refused(value: object) -> None:
    with pytest.raises(BadQuery, match="dry_run must be true or false"):
        Query.from_fields({"question": "Is it on?", "image": "bm8=", "dry_run": value})
