"""Readings of the machine this runs on are possible ones, and what it does not tell is None."""

from __future__ import annotations

import anyio
import psutil
import pytest

from agent import sensing
from agent.sensing import read
from controller.context import DeviceState

pytestmark = pytest.mark.anyio


def test_a_live_reading_is_possible() -> None:
    state = read()
    assert state.cpu_load is not None
    assert 0 <= state.cpu_load <= 1
    assert state.memory_available_mb is not None
    assert 0 < state.memory_available_mb <= psutil.virtual_memory().total / 2**20
    for value, least, most in (
        (state.temp_c, 0, 150),
        (state.battery_pct, 0, 100),
        (state.clock_ratio, 0, 1),
    ):
        assert value is None or least <= value <= most


def test_what_no_sensor_tells_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_freq", lambda: None)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    state = read()
    assert (state.temp_c, state.battery_pct, state.clock_ratio) == (None, None, None)


async def test_the_latest_reading_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    came = anyio.Event()
    reading = DeviceState(temp_c=41.0)

    def tell() -> DeviceState:
        came.set()
        return reading

    monkeypatch.setattr(sensing, "read", tell)
    board = sensing.Sensing(every_s=0.001)
    assert board.state == DeviceState()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(board.run)
        with anyio.fail_after(10):
            await came.wait()
        tasks.cancel_scope.cancel()
    assert board.state == reading
