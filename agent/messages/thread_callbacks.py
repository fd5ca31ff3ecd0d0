"""What has to be read in the thread of paho's client, before it continues: errors, and the next pause."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from agent.messages.reconnect_pause import MAX_S, MIN_S, STAND_BACK_S, ReconnectPause
from inarvl.connection_problem import connection_problem

SOCKET_ERROR = "failed to "  # paho logs an error of the socket and does not pass it on
NO_MESSAGE = {"Keep alive timeout", "Session taken over", "Server shutting down", "Server busy"}
UNSPECIFIED = "Unspecified error"  # paho's name for the end of the stream
CLOSED = "it closed the connection without a reason: see its log, and whether another client has this name"


@dataclass(frozen=True)
class Loss:
    """How a connection ended.

    Attributes:
        failed: neither side had asked for it.
        taken_over: another client has taken the session over.
        by_broker: the broker closed it, perhaps because of a message.
        problem: why, and what to do.
    """

    failed: bool
    taken_over: bool
    by_broker: bool
    problem: str


class ThreadCallbacks:
    """Observes one client; its methods are called in the client's thread."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._pause = ReconnectPause()
        self._logged: str | None = None
        client.on_log = self._log
        client.on_pre_connect = self._connecting

    def accepted(self, reason: ReasonCode) -> None:
        """Records that the broker has accepted the connection, unless `reason` is that it has not."""
        if not reason.is_failure:
            self._pause.connected()
            self._client.reconnect_delay_set(MIN_S, MAX_S)

    def error(self) -> str:
        """Returns why the attempt to connect failed; paho calls this while it handles the exception."""
        self._pause.failed()
        error = sys.exc_info()[1]
        return "" if error is None else connection_problem(error)

    def lost(self, reason: ReasonCode) -> Loss:
        """Returns how the connection ended; lengthens the pause if another client has the same name."""
        unexplained = self._logged is None and reason.getName() == UNSPECIFIED
        taken_over = self._pause.taken_over(None if unexplained else reason.value)
        if taken_over:
            self._client.reconnect_delay_set(STAND_BACK_S, STAND_BACK_S)
        if self._logged is not None:
            problem = connection_problem(self._logged)
        else:
            problem = CLOSED if unexplained else reason.getName()
        by_broker = reason.is_failure and not taken_over and reason.getName() not in NO_MESSAGE
        return Loss(reason.is_failure, taken_over, by_broker, problem)

    def _connecting(self, _client: paho.Client, _data: object) -> None:
        self._logged = None

    def _log(self, _client: paho.Client, _data: object, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR and text.startswith(SOCKET_ERROR):
            self._logged = text.rpartition("socket: ")[2]
