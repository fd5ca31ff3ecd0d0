"""Energy above idle from the processor's counters, with a constructed sysfs tree and clock."""

from pathlib import Path

import pytest

from agent.sensing.rapl import Rapl
from agent.sensing.sample import SensorAbsent
from lab.trace.energy_meter import EnergyMeter


class Machine:
    """A processor package with a given energy use, and a clock."""

    def __init__(self, sysfs: Path) -> None:
        self._zone = sysfs / "class/powercap/intel-rapl:0"
        self._zone.mkdir(parents=True)
        (self._zone / "name").write_text("package-0\n")
        (self._zone / "max_energy_range_uj").write_text("262143328850\n")
        self.now_s = 100.0
        self._energy_uj = 5_000_000
        self.use(joules=0, seconds=0)

    def use(self, *, joules: float, seconds: float) -> None:
        self.now_s += seconds
        self._energy_uj += int(joules * 1e6)
        (self._zone / "energy_uj").write_text(f"{self._energy_uj}\n")

    def clock(self) -> float:
        return self.now_s


def test_idle_energy_is_subtracted(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = EnergyMeter(Rapl(sysfs=tmp_path, clock=machine.clock), idle_w=2.0, clock=machine.clock)
    meter.start()
    machine.use(joules=8.0, seconds=0.5)
    assert meter.stop() == pytest.approx(7.0)
    machine.use(joules=1000.0, seconds=60)  # between two questions
    meter.start()
    machine.use(joules=1.0, seconds=1.0)
    assert meter.stop() == 0.0


def test_a_machine_without_counters_raises(tmp_path: Path) -> None:
    with pytest.raises(SensorAbsent):
        EnergyMeter.calibrated(Rapl(sysfs=tmp_path), idle_s=0)
