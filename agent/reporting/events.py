"""What the agent tells of itself as it happens."""

from __future__ import annotations

from collections import deque

from agent.messages.mqtt import MqttConnection

MOST_UNTOLD = 32


class Events:
    """Publishes events; those that happen without a connection wait for the next one, the newest of them."""

    def __init__(self, link: MqttConnection, topic: str) -> None:
        self._link = link
        self._topic = topic
        self._untold: deque[dict[str, str]] = deque(maxlen=MOST_UNTOLD)

    def tell(self, event: str, **details: str) -> None:
        """Publish an event of that name."""
        self._untold.append({"event": event, **details})
        self.catch_up()

    def error(self, code: str, message: str) -> None:
        """Publish that something went wrong, and what to do."""
        self.tell("error", code=code, message=message)

    def catch_up(self) -> None:
        """Publish what waits, if there is a connection."""
        while self._untold and self._link.connected.is_set():
            self._link.post(self._topic, self._untold.popleft())
