"""What the agent measures, under Prometheus names, in base units and with bounded labels.

Labels hold names of rails, zones, sensors and servers; of each at most MOST_LABELS are told, cut to LONGEST
characters, since a network or a driver may invent as many as it likes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.sensing.sensing import Sensing
from controller import Status

MOST_LABELS = 32
LONGEST = 64
MIB = 2**20
Labelled = Iterable[tuple[Sequence[str], float | None]]

# Name, help, field of Sample, and the factor that makes base units of it.
PLAIN = (
    ("inarvl_board_power_watts", "What the board draws.", "power_w", 1.0),
    ("inarvl_board_cpu_load_ratio", "Share of the CPU in use.", "cpu_load", 1.0),
    ("inarvl_board_gpu_load_ratio", "Share of the GPU in use.", "gpu_load", 1.0),
    ("inarvl_board_memory_available_bytes", "Memory left.", "memory_available_mb", MIB),
    ("inarvl_board_battery_ratio", "Charge of the battery.", "battery_pct", 0.01),
    ("inarvl_board_clock_limit_ratio", "Allowed over highest CPU clock.", "clock_ratio", 1.0),
    ("inarvl_board_gpu_clock_limit_ratio", "Allowed over highest GPU clock.", "gpu_clock_ratio", 1.0),
    ("inarvl_board_throttled", "Whether heat or power holds the clocks down.", "throttled", 1.0),
    ("inarvl_board_fan_ratio", "Fan speed over its highest.", "fan_ratio", 1.0),
)
PRESSURES = ("cpu_pressure", "memory_pressure", "io_pressure")
# Name, help, key of a link's report, and the factor.
LINKS = (
    ("inarvl_link_round_trip_seconds", "Smoothed round trip.", "rtt_ms", 1e-3),
    ("inarvl_link_jitter_seconds", "Mean deviation of the round trip.", "jitter_ms", 1e-3),
    ("inarvl_link_uplink_bytes_per_second", "Rate to the peer.", "uplink_mbps", 125_000.0),
    ("inarvl_link_loss_ratio", "Losses estimated from late round trips.", "loss", 1.0),
)


class Metrics:
    """A registry of its own over what the agent holds now."""

    def __init__(
        self,
        sensing: Sensing,
        servers: Callable[[], list[dict[str, Any]]],
        status: Callable[[], Status],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(sensing, servers, status))

    def render(self) -> bytes:
        """In the text exposition format."""
        return generate_latest(self._registry)

    def samples(self) -> dict[str, float]:
        """Each sample's value by its name with its labels, as a line of the text format begins."""
        return {
            _line(sample.name, sample.labels): sample.value
            for metric in self._registry.collect()
            for sample in metric.samples
        }


class _Collector(Collector):
    def __init__(
        self,
        sensing: Sensing,
        servers: Callable[[], list[dict[str, Any]]],
        status: Callable[[], Status],
    ) -> None:
        self._sensing = sensing
        self._servers = servers
        self._status = status

    def collect(self) -> Iterator[Metric]:
        yield from self._board()
        yield from self._energy()
        yield from self._peers()
        status = self._status()
        yield CounterMetricFamily("inarvl_questions", "Questions answered.", status.questions)
        yield GaugeMetricFamily("inarvl_edge_share_ratio", "Share answered on board.", status.edge_share)

    def _board(self) -> Iterator[Metric]:
        readings = self._sensing.readings()
        values = {name: reading.value for name, reading in readings.items()}
        for name, text, field, factor in PLAIN:
            if field in values:
                yield GaugeMetricFamily(name, text, values[field] * factor)
        yield _gauge("inarvl_board_rail_power_watts", "By rail.", ["rail"], _table(values.get("rails_w")))
        yield _gauge("inarvl_board_temperature_celsius", "By zone.", ["zone"], _table(values.get("temps_c")))
        pressures = [((name.partition("_")[0],), values.get(name)) for name in PRESSURES]
        yield _gauge("inarvl_board_pressure_ratio", "Share of time in want of it.", ["resource"], pressures)
        mode = values.get("power_mode")
        modes = [] if mode is None else [((mode,), 1.0)]
        yield _gauge("inarvl_board_power_mode_info", "The power mode.", ["mode"], modes)
        faults = [((name,), 1.0) for name in self._sensing.faults]
        yield _gauge("inarvl_sensor_fault", "Sensors that do not tell.", ["sensor"], faults)

    def _energy(self) -> Iterator[Metric]:
        totals = self._sensing.energy_meter.totals
        energy = CounterMetricFamily(
            "inarvl_board_energy_joules", "Measured, by what it went to.", labels=["part"]
        )
        for part, joules in (("answers", totals.answers_j), ("idle", totals.idle_j)):
            energy.add_metric([part], joules)
        yield energy
        yield GaugeMetricFamily("inarvl_board_other_energy_joules", "What else it went to.", totals.other_j)
        yield GaugeMetricFamily(
            "inarvl_board_idle_power_watts", "Power that counts as idle.", self._sensing.energy_meter.idle_w
        )

    def _peers(self) -> Iterator[Metric]:
        servers = self._servers()
        healthy = [((server["tier"], server["id"]), float(server["healthy"])) for server in servers]
        yield _gauge("inarvl_server_healthy", "Whether it can be asked.", ["tier", "server"], healthy)
        for name, text, key, factor in LINKS:
            known = [
                ((server["id"],), None if link[key] is None else link[key] * factor)
                for server in servers
                if (link := server["link"]) is not None
            ]
            yield _gauge(name, text, ["peer"], known)


def _gauge(name: str, text: str, labels: Sequence[str], values: Labelled) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    told = {tuple(label[:LONGEST] for label in held): value for held, value in values if value is not None}
    for held, value in islice(told.items(), MOST_LABELS):
        gauge.add_metric(held, value)
    return gauge


def _table(values: Mapping[str, float] | None) -> Labelled:
    return [((name,), value) for name, value in sorted((values or {}).items())]


def _line(name: str, labels: Mapping[str, str]) -> str:
    told = ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
    return f"{name}{{{told}}}" if labels else name
