"""The sensors that inarvl knows, best first. To add one, for example a power sensor for a Raspberry Pi:

1. Write its class in a new file in this folder, with the methods of `Sensor` (`sample.py`); `ina.py`
   is an example. It returns a `Sample`, and raises `SensorAbsent` on boards without such a sensor.
2. Add it to `all_sensors` below. If two sensors report the same value, the one listed first is used.
3. Add the board with its files and readings as `tests/agent/sensing/boards/BOARD.yaml`, and a line to the
   table in `docs/sensing.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.profile.identity import BoardIdentity
from agent.sensing import jtop
from agent.sensing.battery import Battery
from agent.sensing.gpu import DevfreqGpu
from agent.sensing.ina import Ina
from agent.sensing.nvidia import Nvidia, NvidiaCards
from agent.sensing.plug import Plug
from agent.sensing.processor import Processor
from agent.sensing.rapl import Rapl
from agent.sensing.sample import PolledSensor
from agent.sensing.tegra import Tegra
from agent.sensing.thermal import Thermal

CARD_RESOLUTION_S = 0.1  # of the power that an NVIDIA card reports
COUNTER_RESOLUTION_S = 0.005  # an energy counter is accurate over any time in which it moved several steps


def all_sensors(
    *,
    power_s: float,
    sense_s: float,
    rails: Sequence[str] = (),
    plug: Plug | None = None,
    root: Path = Path("/"),
) -> tuple[PolledSensor, ...]:
    """Returns the sensors of the machine whose file system is under `root`, best first.

    Args:
        power_s: seconds between samples of power.
        sense_s: seconds between all other samples.
        rails: power rails whose sum is the board's power; if empty, each power monitor chooses.
        plug: the plug that measures the board, if the profile names one.
        root: the root of the file system; tests pass the captured files of a board.
    """
    proc, sysfs = root / "proc", root / "sys"
    jtop_s = max(power_s, jtop.MIN_INTERVAL_S)
    cards = NvidiaCards(root=root)
    rapl_s = CARD_RESOLUTION_S if cards.present else COUNTER_RESOLUTION_S
    is_jetson = BoardIdentity.here(root).is_jetson
    jetson_stats = jtop.Jtop(jtop.connect, present=lambda: is_jetson, interval_s=jtop_s, rails=tuple(rails))
    plugs = () if plug is None else (PolledSensor(plug, power_s, plug.resolution_s, plug.max_age_s),)
    return (
        *plugs,
        PolledSensor(jetson_stats, jtop_s),
        PolledSensor(Ina(rails, sysfs=sysfs), power_s),
        PolledSensor(Rapl(sysfs=sysfs, cards=cards), power_s, resolution_s=rapl_s),
        PolledSensor(Nvidia(cards), sense_s),
        PolledSensor(DevfreqGpu(sysfs=sysfs), sense_s),
        PolledSensor(Tegra(root=root), sense_s),
        PolledSensor(Processor(proc=proc, sysfs=sysfs), sense_s),
        PolledSensor(Thermal(sysfs=sysfs, cards=cards), sense_s),
        PolledSensor(Battery(sysfs=sysfs), sense_s),
    )
