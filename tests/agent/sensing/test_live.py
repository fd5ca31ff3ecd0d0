"""Readings of the machine that runs the tests are plausible."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from agent.sensing.processor import Processor
from agent.sensing.readings import Readings
from agent.sensing.sample import SensorAbsent, SensorFault
from agent.sensing.sensors import all_sensors


def test_every_sensor_has_plausible_readings_or_a_fault() -> None:
    sensors = all_sensors(power_s=0.2, sense_s=1.0)
    readings = Readings([polled.sensor.name for polled in sensors], smoothing_s=0.0)
    faults = []
    for polled in sensors:
        try:
            readings.update(polled.sensor.name, polled.sensor.sample(), now=0.0, interval_s=1.0)
        except SensorAbsent:
            continue
        except SensorFault as fault:
            faults.append(str(fault))
        finally:
            polled.sensor.close()
    assert all(":" in fault for fault in faults), "a fault says what is wrong, then what to do"
    state = readings.state(0.0)
    assert state.memory_available_mb is not None
    assert 0 < state.memory_available_mb <= psutil.virtual_memory().total / 2**20
    for value, minimum, maximum in (
        (state.temp_c, -40, 150),
        (state.battery_pct, 0, 100),
        (state.clock_ratio, 0, 1),
        (state.memory_pressure, 0, 1),
        (state.power_w, 0, 2000),
    ):
        assert value is None or minimum <= value <= maximum


def test_the_load_agrees_with_psutil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read the same copy of /proc/stat, so that no time passes between their readings."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    processor = Processor(proc=tmp_path)

    def loads() -> tuple[float | None, float]:
        (tmp_path / "stat").write_text(Path("/proc/stat").read_text())
        return processor.sample().cpu_load, psutil.cpu_percent() / 100

    loads()
    assert sum(number * number for number in range(3_000_000))
    load, expected = loads()
    assert load == pytest.approx(expected, abs=0.01)
