"""An MQTT door with a real spool, for the tests of this folder."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import anyio

from agent.config.settings import Settings
from agent.intake.intake import Intake
from agent.intake.mqtt_door import MqttDoor
from agent.intake.outbox import Outbox
from agent.intake.quarantine import Quarantine
from agent.intake.queue import RequestQueue
from agent.intake.reply_publisher import ReplyPublisher
from agent.intake.request import Request
from agent.intake.uptime import Uptime
from agent.messages.mqtt_message import Message
from agent.messages.reply import Refusal, reply_from_bytes
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from agent.spool.dead_letters import DeadLetters
from agent.spool.spool import Spool
from agent.spool.under_way import UnderWay

TOPICS = Topics("d")
JPEG = b"\xff\xd8\xff\xe0 not decoded here"


class RecordingConnection:
    """Replaces the MQTT connection; keeps every published message."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, bytes | None]] = []

    async def publish(
        self, topic: str, payload: bytes, *, qos: int, correlation: bytes | None = None
    ) -> None:
        assert qos == 1
        self.published.append((topic, payload, correlation))


class DoorRig:
    """An MQTT door with a real spool; records acknowledgements, requests and replies."""

    def __init__(
        self,
        spool: Spool,
        now_s: float = 1000.0,
        uptime: Uptime | None = None,
        under_way: Path | None = None,
        allow: tuple[str, ...] = (),
        **site: Any,
    ) -> None:
        self.spool = spool
        self.acknowledged: list[int] = []
        self.connection = RecordingConnection()
        self.events: list[str] = []
        folder = Path(tempfile.mkdtemp())
        dead_letters = DeadLetters(folder / "set-aside", lambda code, _: self.events.append(code))
        self.under_way = UnderWay(under_way or folder / "under-way")
        rules = ReplyRules(TOPICS, allow)
        publisher = ReplyPublisher(self.connection, TOPICS, dead_letters, rules)  # type: ignore[arg-type]
        self.outbox = Outbox(spool, publisher)
        self.queue = RequestQueue(64, workers=8, clock=lambda: 5.0)
        limits = {"max_payload_bytes": 10_000, "default_deadline_ms": 30_000}
        intake = Intake(self.queue, Settings.model_validate({"device": "d", "intake": limits, **site}))
        self.door = MqttDoor(
            TOPICS,
            spool,
            self.outbox,
            intake,
            Quarantine(self.under_way, dead_letters),
            rules,
            clock=lambda: 5.0,
            wall_clock=lambda: now_s,
            uptime=lambda: uptime,
        )

    async def receive(self, payload: bytes, *, publish: bool = True, **changes: Any) -> None:
        number = len(self.acknowledged)
        fields: dict[str, Any] = {
            "topic": TOPICS.query,
            "payload": payload,
            "retain": False,
            "dup": False,
            "response_topic": None,
            "correlation": None,
            "user": {},
            "expiry_s": None,
            "ack": lambda: self.acknowledged.append(number),
        }
        await self.door.receive(Message(**{**fields, **changes}))
        if publish:
            await self.publish()

    async def publish(self) -> None:
        """Runs the outbox until it has published every reply."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.outbox.run)
            await self.outbox.emptied()
            tasks.cancel_scope.cancel()

    async def submitted(self) -> list[Request]:
        """Removes and returns all requests in the queue."""
        return [request for _ in range(len(self.queue)) if (request := await self.queue.get())]

    async def destination(self, request: Request) -> tuple[str, bytes | None]:
        """Replies to `request`; returns the topic and the correlation data of the reply."""
        await request.reply(Refusal(request.query_id, "code", "message"))
        await self.publish()
        topic, _, correlation = self.connection.published[-1]
        return topic, correlation

    def refused(self) -> list[Refusal]:
        replies = [reply_from_bytes(payload) for _, payload, _ in self.connection.published]
        return [reply for reply in replies if isinstance(reply, Refusal)]


def query(**fields: Any) -> bytes:
    image = base64.b64encode(JPEG).decode()
    return json.dumps({"question": "How many?", "image": image, **fields}).encode()
