"""Publishes events: changes in the agent and its surroundings, when they happen."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from agent.messages.mqtt_connection import MqttConnection

log = logging.getLogger(__name__)

MAX_UNPUBLISHED = 32


class Events:
    """Publishes events; without a connection, the newest MAX_UNPUBLISHED wait for the next connection.

    Args:
        also: called with each event immediately.
    """

    def __init__(
        self, mqtt: MqttConnection, topic: str, *, also: Callable[[dict[str, str]], None] = lambda _: None
    ) -> None:
        self._mqtt = mqtt
        self._topic = topic
        self._also = also
        self._unpublished: deque[dict[str, str]] = deque(maxlen=MAX_UNPUBLISHED)

    def publish(self, event: str, **details: str) -> None:
        """Publishes the event `event`."""
        content = {"event": event, **details}
        self._also(content)
        self._unpublished.append(content)
        self.catch_up()

    def error(self, code: str, message: str, *, logged: bool = False) -> None:
        """Publishes an error, and logs it if `logged`; `message` says what to do."""
        if logged:
            log.warning("%s", message)
        self.publish("error", code=code, message=message)

    def catch_up(self) -> None:
        """Publishes the waiting events, if there is a connection."""
        while self._unpublished and self._mqtt.connected.is_set():
            self._mqtt.post(self._topic, self._unpublished.popleft())
