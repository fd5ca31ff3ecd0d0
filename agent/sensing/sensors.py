"""Every source of readings that inarvl knows, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.sensing import jetson
from agent.sensing.battery import Battery
from agent.sensing.ina import Ina
from agent.sensing.processor import Processor
from agent.sensing.rapl import Rapl
from agent.sensing.sample import PacedSensor
from agent.sensing.tegra import Tegra, is_jetson
from agent.sensing.thermal import Thermal

COUNTER_S = 0.005  # an energy counter is true over any time in which it has moved some steps


def all_sensors(
    *, power_s: float, sense_s: float, rails: Sequence[str] = (), root: Path = Path("/")
) -> tuple[PacedSensor, ...]:
    """The sources of the machine whose files stand under `root`.

    Args:
        power_s: seconds between samples of power.
        sense_s: seconds between samples of all else.
        rails: whose sum is the board's power; empty lets each monitor choose.
    """
    proc, sysfs = root / "proc", root / "sys"
    jtop = jetson.Jetson(
        jetson.connect,
        present=lambda: is_jetson(root),
        every_s=max(power_s, jetson.FASTEST_S),
        rails=tuple(rails),
    )
    return (
        PacedSensor(jtop, max(power_s, jetson.FASTEST_S)),
        PacedSensor(Ina(rails, sysfs=sysfs), power_s),
        PacedSensor(Rapl(sysfs=sysfs), power_s, resolution_s=COUNTER_S),
        PacedSensor(Tegra(root=root), sense_s),
        PacedSensor(Processor(proc=proc, sysfs=sysfs), sense_s),
        PacedSensor(Thermal(sysfs=sysfs), sense_s),
        PacedSensor(Battery(), sense_s),
    )
