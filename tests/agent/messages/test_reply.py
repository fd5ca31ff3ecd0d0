"""Replies are the same after encoding and decoding."""

import pytest

from agent.messages.reply import Answer, BadReply, Refusal, reply_from_bytes

ANSWER = Answer("7", "two", "local", "m", 0.9, 12.5, None, None, "d-1", "board: confident enough", True, "c")


@pytest.mark.parametrize(
    "reply", [ANSWER, Refusal("7", "busy", "try later"), Refusal(None, "bad_json", "no")]
)
def test_round_trip(reply: Answer | Refusal) -> None:
    assert reply_from_bytes(reply.to_bytes()) == reply


def test_an_error_has_the_documented_shape() -> None:
    assert Refusal("7", "busy", "try later").to_bytes() == (
        b'{"id": "7", "error": {"code": "busy", "message": "try later"}}'
    )


def test_unknown_keys_are_ignored() -> None:
    assert reply_from_bytes(ANSWER.to_bytes()[:-1] + b', "new": 1}') == ANSWER


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"error": 3}', b"\xff"])
def test_other_payloads_are_rejected(payload: bytes) -> None:
    with pytest.raises(BadReply):
        reply_from_bytes(payload)
