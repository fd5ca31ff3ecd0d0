"""The present values of the service as Prometheus metrics: accuracy, spend and spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.spending.spend import SpendReport
from agent.spool.use import SpoolUse
from controller import Status


class ServiceMetrics(Collector):
    """Collects the present values.

    Args:
        status: returns the status of the controller.
        spend: returns the spend of today; None if there is none to report.
        spool: returns what the spool has; None before it was read.
    """

    def __init__(
        self,
        status: Callable[[], Status],
        spend: Callable[[], SpendReport | None],
        spool: Callable[[], SpoolUse | None],
    ) -> None:
        self._status = status
        self._spend = spend
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        """Returns the metrics whose values are known."""
        yield from self._accuracy()
        yield from self._money()
        yield from self._stored()

    def _accuracy(self) -> Iterator[Metric]:
        status = self._status()
        yield GaugeMetricFamily(
            "inarvl_accuracy_floor_ratio", "Least share of the cloud's accuracy to keep.", status.floor
        )
        kept = GaugeMetricFamily(
            "inarvl_accuracy_kept_ratio",
            "Estimated share of the cloud's accuracy that was kept, with its 95% interval.",
            labels=["bound"],
        )
        if status.kept is not None:
            for bound in ("low", "estimate", "high"):
                kept.add_metric([bound], getattr(status.kept, bound))
        yield kept

    def _money(self) -> Iterator[Metric]:
        spend = self._spend()
        if spend is None:
            return
        yield _one(
            "inarvl_spend_today",
            "What the calls of today have cost, from midnight local time, with those under way.",
            spend.currency,
            spend.today,
        )
        if spend.per_day is not None:
            yield _one(
                "inarvl_spend_cap", "Most that the calls of a day may cost.", spend.currency, spend.per_day
            )

    def _stored(self) -> Iterator[Metric]:
        used = self._spool()
        if used is None:
            return
        entries = GaugeMetricFamily(
            "inarvl_spool_entries",
            "Queries on disk that wait for an answer, and replies that wait for the broker.",
            labels=["state"],
        )
        entries.add_metric(["unanswered"], used.unanswered)
        entries.add_metric(["undelivered"], used.undelivered)
        yield entries
        yield GaugeMetricFamily("inarvl_spool_bytes", "Size of these queries and replies.", used.bytes)


def _one(name: str, text: str, currency: str, value: float) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=["currency"])
    gauge.add_metric([currency], value)
    return gauge
