"""Metrics of a board with scripted sensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from agent.reporting.metrics import Metrics
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.sample import PolledSensor, Sample, SensorFault
from agent.sensing.sensing import Sensing
from controller import Controller, ControllerSettings, Status
from controller.loss import Interval

LINK = {"rtt_ms": 40.0, "jitter_ms": 5.0, "uplink_mbps": 8.0, "loss": 0.01, "server_ms": None, "slow": None}


class Scripted:
    def __init__(self, name: str, result: Sample | Exception) -> None:
        self.name, self.result = name, result

    def sample(self) -> Sample:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def close(self) -> None:
        pass


async def metrics(
    sample: Sample, servers: list[dict[str, Any]], *, kept: Interval | None = None, **parts: Any
) -> Metrics:
    """Returns the metrics of a board whose sensors have measured `sample`.

    Args:
        parts: further arguments of `Metrics`.
    """
    meter = EnergyMeter(idle_w=5.0, interval_s=1.0)
    sensors = [
        PolledSensor(Scripted("working", sample), 1.0),
        PolledSensor(Scripted("faulty", SensorFault("replace it")), 1.0),
    ]
    sensing = Sensing(sensors, smoothing_s=0.0, meter=meter, clock=lambda: 10.0)
    for polled in sensors:
        await sensing.sample(polled)
    meter.observe(11.0, 7.0)
    controller = Controller(ControllerSettings(), rng=np.random.default_rng(0))

    def status() -> Status:
        return replace(controller.status(), kept=kept)

    return Metrics(sensing, lambda: servers, status, **parts)
