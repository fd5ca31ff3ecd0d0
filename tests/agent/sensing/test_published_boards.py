"""Boards whose names and readings their owners publish are recognised and read right.

The first line of each file in boards/ says what was published and what was constructed. The files are written
anew from these facts; a list in `compatible` is separated by spaces. `hottest` is the zone that limits the
models, `parts` are the temperatures that do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agent.profile.choice import choose_profile
from agent.profile.identity import BoardIdentity
from agent.sensing.readings import Readings
from agent.sensing.sample import SensorAbsent, SensorFault
from agent.sensing.sensors import all_sensors

BOARDS = sorted((Path(__file__).parent / "boards").glob("*.yaml"))


def plant(root: Path, files: dict[str, Any]) -> None:
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = f"{content}\n"
        if "proc/device-tree/" in path or "/of_node/" in path:
            text = str(content) + "\0"
        if path.endswith("/compatible"):
            text = text.replace(" ", "\0")
        file.write_text(text)


def read(root: Path) -> Readings:
    """Samples every sensor once, as the agent does; a board without jtop and RAPL."""
    sensors = all_sensors(power_s=0.2, sense_s=1.0, root=root)
    readings = Readings([polled.sensor.name for polled in sensors], smoothing_s=0.0)
    for polled in sensors:
        try:
            sample = polled.sensor.sample()
        except (SensorAbsent, SensorFault):
            continue
        readings.update(polled.sensor.name, sample, now=0.0, interval_s=1.0)
    return readings


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_published_board_is_recognised_and_read(tmp_path: Path, path: Path) -> None:
    board = yaml.safe_load(path.read_text())
    expected = board["expected"]
    plant(tmp_path, board["files"])
    assert choose_profile(BoardIdentity.here(tmp_path), Path("/nonexistent")).name == expected["profile"]
    readings = read(tmp_path)
    state, all_readings = readings.state(0.0), readings.all(0.0)

    def value(name: str) -> Any:
        return all_readings[name].value if name in all_readings else None

    assert state.power_w == pytest.approx(expected["power_w"], abs=1e-3)
    zone, temp_c = expected["hottest"]
    assert state.temp_c == pytest.approx(temp_c)
    assert value("temps_c")[zone] == pytest.approx(temp_c)
    assert sorted(value("part_temps_c") or {}) == expected["parts"]
    assert state.gpu_load == pytest.approx(expected["gpu_load"])
    assert value("gpu_clock_ratio") == pytest.approx(expected["gpu_clock_ratio"], abs=1e-3)
    assert value("clock_ratio") == pytest.approx(expected["clock_ratio"], abs=1e-3)
    assert value("cpus_online") == expected["cpus_online"]
    assert state.power_mode == expected["power_mode"]
    for name in ("throttled", "battery_pct", "on_battery"):
        assert value(name) == pytest.approx(expected.get(name), abs=0.01)


DAMAGE = (
    b"",
    b"\0\0",
    b"N/A\n",
    b"-1\n",
    b"nan\n",
    b"1e999\n",
    b"9" * 5000,
    b"0-99999999999\n",
    b"\xff\xfe\x00",
    None,
)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_damaged_files_are_missing_readings_or_faults(tmp_path: Path, path: Path) -> None:
    """Each file in turn is damaged, in a way that its place decides; None is one that cannot be read."""
    files = yaml.safe_load(path.read_text())["files"]
    plant(tmp_path, files)
    rng = np.random.default_rng(0)
    for name in files:
        file = tmp_path / name
        before, damage = file.read_bytes(), DAMAGE[rng.integers(len(DAMAGE))]
        if damage is None:
            file.unlink()
            file.mkdir()
        else:
            file.write_bytes(damage)
        assert BoardIdentity.here(tmp_path).cores >= 1
        state = read(tmp_path).state(0.0)
        for value, low, high in (
            (state.temp_c, -40, 150),
            (state.gpu_load, 0, 1),
            (state.clock_ratio, 0, 1),
            (state.battery_pct, 0, 100),
        ):
            assert value is None or low <= value <= high, name
        if damage is None:
            file.rmdir()
        file.write_bytes(before)


def test_at_least_ten_boards_are_published() -> None:
    """And each says where its facts come from."""
    published = [path for path in BOARDS if path.read_text().startswith("# Published by ")]
    assert published == BOARDS
    assert len(published) >= 10
