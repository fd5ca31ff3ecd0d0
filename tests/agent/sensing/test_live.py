"""Readings of the machine this runs on are possible ones."""

from __future__ import annotations

import psutil
import pytest

from agent.sensing.readings import Readings
from agent.sensing.sample import SensorAbsent, SensorFault
from agent.sensing.sensors import all_sensors


def test_every_source_tells_possible_readings_or_why_it_does_not() -> None:
    every = all_sensors(power_s=0.2, sense_s=1.0)
    readings = Readings([paced.sensor.name for paced in every], smoothing_s=0.0)
    faults = []
    for paced in every:
        try:
            readings.take(paced.sensor.name, paced.sensor.sample(), now=0.0, every_s=1.0)
        except SensorAbsent:
            continue
        except SensorFault as fault:
            faults.append(str(fault))
        finally:
            paced.sensor.close()
    assert all(":" in fault for fault in faults), "what is wrong, then what to do"
    state = readings.state(0.0)
    assert state.memory_available_mb is not None
    assert 0 < state.memory_available_mb <= psutil.virtual_memory().total / 2**20
    for value, least, most in (
        (state.temp_c, -40, 150),
        (state.battery_pct, 0, 100),
        (state.clock_ratio, 0, 1),
        (state.memory_pressure, 0, 1),
        (state.power_w, 0, 2000),
    ):
        assert value is None or least <= value <= most


def test_the_load_that_psutil_sees_is_seen_here_too() -> None:
    (processor,) = (
        paced.sensor for paced in all_sensors(power_s=1, sense_s=1) if paced.sensor.name == "processor"
    )
    processor.sample()
    psutil.cpu_percent()
    seen = sum(number * number for number in range(3_000_000))
    assert seen
    load, theirs = processor.sample().cpu_load, psutil.cpu_percent() / 100
    assert load == pytest.approx(theirs, abs=0.15)
