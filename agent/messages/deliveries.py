"""QoS 1 messages that this client publishes, until the broker has acknowledged each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from paho.mqtt.reasoncodes import ReasonCode

from agent.messages.turns import Turns
from inarvl.errors import InarvlError


class PublishRefused(InarvlError):
    """The broker rejected the message; the error has the broker's reason."""

    code = "publish_refused"


class DisconnectedTwice(InarvlError):
    """The broker closed the connection twice when it received this message."""

    code = "disconnected_twice"


class ConnectionEnded(Exception):
    """The connection ended before the broker acknowledged a message."""


class Deliveries:
    """Publishes each message again after the connection ended, as turns.py allows."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}

    async def deliver(self, publish: Callable[[], Awaitable[int]]) -> None:
        """Publishes a message until the broker acknowledges it, without a timeout.

        Args:
            publish: publishes it once, as soon as there is a connection; returns its packet identifier.

        Raises:
            PublishRefused: the broker rejected the message.
            DisconnectedTwice: the broker closed the connection instead, twice.
        """
        message = object()
        try:
            while True:
                async with self._turns.turn(message):
                    packet = await publish()
                    self._unacknowledged[packet] = asyncio.get_running_loop().create_future()
                    try:
                        await self._unacknowledged[packet]
                        return
                    except ConnectionEnded:
                        if self._turns.is_convicted(message):
                            raise DisconnectedTwice(
                                "the broker closed the connection twice when it received the message"
                            ) from None
        finally:
            self._turns.ended(message)

    def acknowledged(self, packet: int, reason: ReasonCode) -> None:
        """Records the broker's acknowledgement."""
        done = self._unacknowledged.pop(packet, None)
        if done is None or done.done():
            return
        if reason.is_failure:
            done.set_exception(PublishRefused(f"the broker rejected the message: {reason.getName()}"))
        else:
            done.set_result(None)

    def connection_ended(self, *, by_broker: bool) -> None:
        """Records the end of the connection.

        Args:
            by_broker: the broker closed it, perhaps because of a message.
        """
        if by_broker:
            self._turns.closed_by_broker()
        for done in self._unacknowledged.values():
            if not done.done():
                done.set_exception(ConnectionEnded())
        self._unacknowledged.clear()

    def broker_down(self) -> None:
        """Records that the broker cannot be reached: it did not close the connection because of a message."""
        self._turns.broker_down()
