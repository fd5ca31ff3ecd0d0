"""A reply that the broker does not accept is replaced by an error, and blocks no other reply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.intake.reply_publisher import ReplyPublisher
from agent.messages.deliveries import DisconnectedTwice, PublishRefused
from agent.messages.packet_limit import PacketTooLarge
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from agent.spool.dead_letters import DeadLetters, read_dead_letters
from agent.spool.spool import SpooledReply
from inarvl.errors import InarvlError

pytestmark = pytest.mark.anyio
RULES = ReplyRules(Topics("d"), allow=("t",))
ANSWER = b'{"id": "q", "answer": "' + b"x" * 2000 + b'", "correlation": "m", "resent": true}'


class Broker:
    """Replaces the connection: raises an error for a topic, or for a payload above a size."""

    def __init__(self, topic: str, error: InarvlError, above: int = 0) -> None:
        self.accepted: list[tuple[str, dict[str, Any], bytes | None]] = []
        self._topic, self._error, self._above = topic, error, above

    async def publish(self, topic: str, payload: bytes, *, qos: int, correlation: bytes | None) -> None:
        if topic == self._topic and len(payload) > self._above:
            raise self._error
        self.accepted.append((topic, json.loads(payload), correlation))


async def publish(broker: Broker, topic: str, folder: Path, reply: bytes = ANSWER) -> list[str]:
    """Publishes a reply; returns the codes of the events."""
    events: list[str] = []
    letters = DeadLetters(folder, lambda code, _: events.append(code))
    publisher = ReplyPublisher(broker, Topics("d"), letters, RULES)  # type: ignore[arg-type]
    await publisher.publish(SpooledReply("key", topic, b"c", reply))
    return events


async def test_a_reply_that_is_too_large_becomes_a_small_error(tmp_path: Path) -> None:
    broker = Broker("t", PacketTooLarge("large"), above=500)
    assert await publish(broker, "t", tmp_path) == []
    ((topic, body, correlation),) = broker.accepted
    assert (topic, correlation) == ("t", b"c")
    assert (body["id"], body["correlation"], body["resent"]) == ("q", "m", True)
    assert body["error"]["code"] == "reply_too_large"


@pytest.mark.parametrize(
    ("topic", "above", "answered_at"),
    [
        ("t", 0, "inarvl/d/result/anonymous"),
        ("inarvl/d/result/me", 500, "inarvl/d/result/me"),
        ("inarvl/d/result/me/a/b", 0, "inarvl/d/result/me"),
        ("inarvl/d/result//a", 0, "inarvl/d/result/anonymous"),
    ],
)
async def test_a_reply_at_which_the_broker_disconnects_is_set_aside(
    tmp_path: Path, topic: str, above: int, answered_at: str
) -> None:
    broker = Broker(topic, DisconnectedTwice("closed"), above)
    assert await publish(broker, topic, tmp_path) == ["reply_set_aside"]
    ((used, body, _),) = broker.accepted
    assert (used, body["id"], body["error"]["code"]) == (answered_at, "q", "internal")
    (letter,) = read_dead_letters(tmp_path)
    assert letter.key == "key"


@pytest.mark.parametrize("error", [PacketTooLarge("e"), DisconnectedTwice("e"), PublishRefused("e")])
async def test_an_error_that_cannot_be_sent_either_is_given_up(tmp_path: Path, error: InarvlError) -> None:
    broker = Broker("inarvl/d/result/me", error)
    await publish(broker, "inarvl/d/result/me", tmp_path)
    assert broker.accepted == []


async def test_a_damaged_reply_is_replaced_too(tmp_path: Path) -> None:
    broker = Broker("t", PacketTooLarge("large"), above=500)
    await publish(broker, "t", tmp_path, reply=b"\0" * 1000)
    assert broker.accepted[0][1]["error"]["code"] == "reply_too_large"


async def test_a_stored_reply_to_a_topic_that_is_not_allowed_any_more_becomes_an_error(
    tmp_path: Path,
) -> None:
    broker = Broker("", PublishRefused("never"))
    await publish(broker, "zigbee2mqtt/front_door/set", tmp_path)
    ((topic, body, _),) = broker.accepted
    assert (topic, body["id"], body["error"]["code"]) == (
        "inarvl/d/result/anonymous",
        "q",
        "bad_response_topic",
    )
