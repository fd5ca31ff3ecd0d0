"""Publishes the agent's state and its decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agent.answering.answering import Answered, Answering, Finished
from agent.config.metrics_settings import MetricsSettings
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.topics import Topics
from agent.peers.directory import ServerDirectory
from agent.reporting.decision_log import DecisionLog
from agent.reporting.exporter import export
from agent.reporting.metrics import Metrics
from agent.reporting.telemetry import telemetry
from agent.sensing.own_cost import OwnCost
from agent.sensing.sensing import Sensing
from agent.spending.spend import SpendReport
from agent.spool.spool import Spool
from agent.spool.use import SpoolUse
from controller import Controller
from inarvl import __version__
from inarvl.door import Door


class Reporter:
    """Publishes telemetry and decision records, and serves the metrics to Prometheus.

    Attributes:
        counters: count what was done since the start.
        spool: whose use is reported; None before it is open.

    Args:
        backlog: returns what waits, as more fields of the telemetry.
        decisions: keeps the decision records; None to keep none.
        observers: each is called with each telemetry message.
    """

    def __init__(
        self,
        mqtt: MqttConnection,
        topics: Topics,
        *,
        sensing: Sensing,
        servers: ServerDirectory,
        controller: Controller,
        answering: Answering,
        agreement: Callable[[], dict[str, Any]],
        own_cost: Callable[[], OwnCost],
        cameras: Callable[[], list[dict[str, Any]]] = list,
        observers: Sequence[Callable[[Mapping[str, Any]], None]],
        doors: Sequence[Door] = (),
        spend: Callable[[], SpendReport],
        backlog: Callable[[], dict[str, Any]] = dict,
        decisions: DecisionLog | None = None,
    ) -> None:
        self._backlog = backlog
        self._decisions = decisions
        self._mqtt = mqtt
        self._topics = topics
        self._sensing = sensing
        self._servers = servers
        self._controller = controller
        self._answering = answering
        self._agreement = agreement
        self._cameras = cameras
        self._own_cost = own_cost
        self._observers = observers
        self._doors = doors
        self._spend = spend
        self.spool: Spool | None = None
        self._metrics = Metrics(
            sensing, servers.report, controller.status, doors, spend=spend, spool=self._spool_use
        )
        self.counters = self._metrics.counters

    def publish_telemetry(self) -> None:
        """Publishes the present state, retained."""
        content = telemetry(
            self._sensing,
            self._servers,
            self._controller,
            self._answering.mode,
            self._metrics,
            self._own_cost(),
            self._doors,
        )
        content["agreement"] = self._agreement()
        content["cameras"] = self._cameras()
        content["spend"] = asdict(self._spend())
        content |= self._backlog()
        content["version"] = __version__
        content["problems"] = [self._mqtt.problem] if self._mqtt.problem else []
        for observe in self._observers:
            observe(content)
        self._mqtt.post(self._topics.telemetry, content, retain=True)

    def publish_decision(
        self, answered: Answered, finished: Finished, published: dict[str, Any], kept: dict[str, Any]
    ) -> None:
        """Counts an answer, publishes its decision record, and keeps the one without words of a model."""
        self.counters.answered(answered, finished)
        self._mqtt.post(self._topics.decision, published)
        if self._decisions is not None:
            self._decisions.append({**kept, "floor": self._controller.status().floor})

    def metrics(self) -> bytes:
        """Returns the metrics in the text exposition format."""
        return self._metrics.render()

    async def serve_metrics(self, settings: MetricsSettings | None) -> None:
        """Serves `GET /metrics` until cancelled; does nothing if `settings` is None.

        Raises:
            ExporterFailed: the address or the tokens cannot be used.
        """
        if settings is not None:
            await export(settings, self.metrics)

    def _spool_use(self) -> SpoolUse | None:
        return None if self.spool is None else self.spool.use
