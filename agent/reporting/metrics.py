"""The agent's measurements as Prometheus metrics, in base units.

The values of labels are names of rails, zones, sensors and servers, whose number a network or a driver may
increase without limit. So a metric has at most MAX_LABELS of them, each cut to MAX_LABEL_LENGTH characters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.reporting.counters import MAX_LABEL_LENGTH, MAX_LABELS, Counters
from agent.reporting.service_metrics import ServiceMetrics
from agent.sensing.sensing import Sensing
from agent.spending.spend import SpendReport
from agent.spool.use import SpoolUse
from controller import Status
from inarvl.door import Door

MIB = 2**20
LabelledValues = Iterable[tuple[Sequence[str], float | None]]

# Name, help, field of Sample, and the factor that converts it to base units.
BOARD = (
    ("inarvl_board_power_watts", "Power of the board.", "power_w", 1.0),
    ("inarvl_board_cpu_load_ratio", "Share of the CPU in use.", "cpu_load", 1.0),
    ("inarvl_board_gpu_load_ratio", "Share of the GPU in use.", "gpu_load", 1.0),
    ("inarvl_board_memory_available_bytes", "Available memory.", "memory_available_mb", MIB),
    ("inarvl_board_battery_ratio", "Charge of the battery.", "battery_pct", 0.01),
    ("inarvl_board_clock_limit_ratio", "Allowed share of the maximum CPU clock.", "clock_ratio", 1.0),
    ("inarvl_board_gpu_clock_limit_ratio", "Allowed share of the maximum GPU clock.", "gpu_clock_ratio", 1.0),
    ("inarvl_board_throttled", "Whether heat or a power limit lowers the clocks.", "throttled", 1.0),
    ("inarvl_board_fan_ratio", "Fan speed, divided by its maximum.", "fan_ratio", 1.0),
)
PRESSURES = ("cpu_pressure", "memory_pressure", "io_pressure")
# Name, help, key in the report of a link, and the factor that converts it to base units.
LINKS = (
    ("inarvl_link_round_trip_seconds", "Smoothed round trip time.", "rtt_ms", 1e-3),
    ("inarvl_link_jitter_seconds", "Mean deviation of the round trip time.", "jitter_ms", 1e-3),
    ("inarvl_link_uplink_bytes_per_second", "Upload rate to the peer.", "uplink_mbps", 125_000.0),
    ("inarvl_link_loss_ratio", "Loss rate, estimated from late and missing round trips.", "loss", 1.0),
)


class Metrics:
    """Collects the values of all metrics.

    Attributes:
        counters: what was done since the start.

    Args:
        sensing: readings and energy of the board.
        servers: returns the reports of all model servers.
        status: returns the status of the controller.
        doors: their counts of invalid remote inputs.
        spend: returns what was spent today; None if there is nothing to report.
        spool: returns what the spool has; None before it was read.
    """

    def __init__(
        self,
        sensing: Sensing,
        servers: Callable[[], list[dict[str, Any]]],
        status: Callable[[], Status],
        doors: Sequence[Door] = (),
        *,
        spend: Callable[[], SpendReport | None] = lambda: None,
        spool: Callable[[], SpoolUse | None] = lambda: None,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(sensing, servers, status, doors))
        self._registry.register(ServiceMetrics(status, spend, spool))
        self.counters = Counters(self._registry)

    def render(self) -> bytes:
        """Returns the metrics in the text exposition format."""
        return generate_latest(self._registry)

    def samples(self) -> dict[str, float]:
        """Returns the value of each sample by its name and labels, as in the text format, without buckets."""
        return {
            _line(sample.name, sample.labels): sample.value
            for metric in self._registry.collect()
            for sample in metric.samples
            if not sample.name.endswith("_bucket")
        }


class _Collector(Collector):
    def __init__(
        self,
        sensing: Sensing,
        servers: Callable[[], list[dict[str, Any]]],
        status: Callable[[], Status],
        doors: Sequence[Door],
    ) -> None:
        self._sensing = sensing
        self._servers = servers
        self._status = status
        self._doors = doors

    def collect(self) -> Iterator[Metric]:
        yield from self._board()
        yield from self._energy()
        yield from self._peers()
        yield from self._inputs()
        status = self._status()
        yield CounterMetricFamily("inarvl_questions", "Answered questions.", status.questions)
        yield GaugeMetricFamily(
            "inarvl_edge_share_ratio", "Share of questions that the board answered.", status.edge_share
        )

    def _board(self) -> Iterator[Metric]:
        readings = self._sensing.readings()
        values = {name: reading.value for name, reading in readings.items()}
        for name, help_text, field, factor in BOARD:
            if field in values:
                yield GaugeMetricFamily(name, help_text, values[field] * factor)
        yield _gauge(
            "inarvl_board_rail_power_watts", "Power by rail.", ["rail"], _table(values.get("rails_w"))
        )
        yield _gauge(
            "inarvl_board_temperature_celsius",
            "Temperature by zone.",
            ["zone"],
            _table(values.get("temps_c")),
        )
        pressures = [((name.partition("_")[0],), values.get(name)) for name in PRESSURES]
        yield _gauge(
            "inarvl_board_pressure_ratio",
            "Share of time in which a task waited for the resource.",
            ["resource"],
            pressures,
        )
        mode = values.get("power_mode")
        modes = [] if mode is None else [((mode,), 1.0)]
        yield _gauge("inarvl_board_power_mode_info", "Present power mode.", ["mode"], modes)
        faults = [((name,), 1.0) for name in self._sensing.faults]
        yield _gauge("inarvl_sensor_fault", "Sensors that cannot be read.", ["sensor"], faults)

    def _energy(self) -> Iterator[Metric]:
        totals = self._sensing.energy_meter.totals
        energy = CounterMetricFamily(
            "inarvl_board_energy_joules", "Measured energy of answers and idle time.", labels=["part"]
        )
        for part, joules in (("answers", totals.answers_j), ("idle", totals.idle_j)):
            energy.add_metric([part], joules)
        yield energy
        yield GaugeMetricFamily(
            "inarvl_board_other_energy_joules", "Measured energy of everything else.", totals.other_j
        )
        yield GaugeMetricFamily(
            "inarvl_board_idle_power_watts",
            "Present estimate of the idle power.",
            self._sensing.energy_meter.idle_w,
        )

    def _inputs(self) -> Iterator[Metric]:
        dropped = CounterMetricFamily("inarvl_dropped_inputs", "Invalid remote inputs.", labels=["kind"])
        faults = CounterMetricFamily(
            "inarvl_input_faults", "Remote inputs that met a fault of inarvl.", labels=["kind"]
        )
        for door in self._doors:
            dropped.add_metric([door.kind], door.dropped)
            faults.add_metric([door.kind], door.faults)
        yield from (dropped, faults)

    def _peers(self) -> Iterator[Metric]:
        servers = [server for server in self._servers() if not _is_stranger(server)]
        healthy = [((server["tier"], server["id"]), float(server["healthy"])) for server in servers]
        yield _gauge("inarvl_server_healthy", "Whether the server can be used.", ["tier", "server"], healthy)
        for name, help_text, key, factor in LINKS:
            values = [
                ((server["id"],), None if link[key] is None else link[key] * factor)
                for server in servers
                if (link := server["link"]) is not None
            ]
            yield _gauge(name, help_text, ["peer"], values)


def _is_stranger(server: Mapping[str, Any]) -> bool:
    return bool(server.get("discovered")) and server.get("trust") == "untrusted"


def _gauge(name: str, help_text: str, labels: Sequence[str], values: LabelledValues) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, help_text, labels=labels)
    known = {
        tuple(label[:MAX_LABEL_LENGTH] for label in key): value for key, value in values if value is not None
    }
    for key, value in islice(known.items(), MAX_LABELS):
        gauge.add_metric(key, value)
    return gauge


def _table(values: Mapping[str, float] | None) -> LabelledValues:
    return [((name,), value) for name, value in sorted((values or {}).items())]


def _line(name: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
    return f"{name}{{{pairs}}}" if labels else name
