"""Events: what happens to the agent, published as it happens."""

from __future__ import annotations

from collections import deque

from agent.messages.mqtt import MqttConnection

MAX_UNPUBLISHED = 32


class Events:
    """Publishes events; without a connection, the newest MAX_UNPUBLISHED wait for the next one."""

    def __init__(self, mqtt: MqttConnection, topic: str) -> None:
        self._mqtt = mqtt
        self._topic = topic
        self._unpublished: deque[dict[str, str]] = deque(maxlen=MAX_UNPUBLISHED)

    def publish(self, event: str, **details: str) -> None:
        """Publish an event by its name."""
        self._unpublished.append({"event": event, **details})
        self.catch_up()

    def error(self, code: str, message: str) -> None:
        """Publish that something went wrong, and what to do."""
        self.publish("error", code=code, message=message)

    def catch_up(self) -> None:
        """Publish the events that wait, if there is a connection."""
        while self._unpublished and self._mqtt.connected.is_set():
            self._mqtt.post(self._topic, self._unpublished.popleft())
