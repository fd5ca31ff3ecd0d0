"""Energy above idle from the processor's counters, in a captured tree with a clock of the test's own."""

from pathlib import Path

import pytest

from agent.sensing.rapl import Rapl
from agent.sensing.sample import SensorAbsent
from lab.trace.energy_meter import Meter


class Machine:
    """A package that uses what it is told to, and a clock."""

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


def test_idle_is_taken_off(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = Meter(Rapl(sysfs=tmp_path, clock=machine.clock), idle_w=2.0, clock=machine.clock)
    meter.begin()
    machine.use(joules=8.0, seconds=0.5)
    assert meter.end() == pytest.approx(7.0)
    machine.use(joules=1000.0, seconds=60)  # between two questions
    meter.begin()
    machine.use(joules=1.0, seconds=1.0)
    assert meter.end() == 0.0


def test_a_machine_without_counters(tmp_path: Path) -> None:
    with pytest.raises(SensorAbsent):
        Meter.settled(Rapl(sysfs=tmp_path), quiet_s=0)
