"""The board's own batteries count, by their energy; those of a mouse do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.sensing.battery import Battery
from agent.sensing.sample import Sample, SensorAbsent

MOUSE = {"type": "Battery", "scope": "Device", "capacity": 3, "status": "Discharging"}
MAINS, UNPLUGGED = {"type": "Mains", "online": 1}, {"type": "Mains", "online": 0}


def sample(tmp_path: Path, **supplies: dict[str, Any]) -> Sample:
    for name, files in supplies.items():
        folder = tmp_path / "class" / "power_supply" / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_text(f"{content}\n")
    return Battery(sysfs=tmp_path).sample()


def own(**files: Any) -> dict[str, Any]:
    return {"type": "Battery", **files}


@pytest.mark.parametrize(
    ("supplies", "charge_pct", "on_battery"),
    [
        ({"BAT0": own(capacity=41, status="Discharging")}, 41, True),
        ({"BAT0": own(capacity=41, status="Charging"), "mouse": MOUSE}, 41, False),
        ({"BAT0": own(capacity=101, scope="System", status="Full")}, 100, False),
        ({"BAT0": own(capacity=80, status="Not charging"), "AC": UNPLUGGED}, 80, False),
        ({"BAT0": own(capacity=80, status="Unknown"), "AC": UNPLUGGED}, 80, True),
        ({"BAT0": own(capacity=80, status="Unknown"), "AC": MAINS}, 80, False),
        ({"BAT0": own(capacity=80)}, 80, None),
        ({"BAT0": own(energy_now=10, energy_full=20, capacity=49)}, 50, None),
        # a small full battery and a large one that is nearly empty: 12 of 60 Wh
        (
            {
                "BAT0": own(energy_now=10e6, energy_full=10e6, status="Full"),
                "BAT1": own(energy_now=2e6, energy_full=50e6, status="Discharging"),
                "AC": UNPLUGGED,
                "mouse": MOUSE,
            },
            20,
            True,
        ),
        # one in watt hours, one in ampere hours at 10 V
        (
            {
                "BAT0": own(energy_now=30e6, energy_full=40e6),
                "BAT1": own(charge_now=1e6, charge_full=6e6, voltage_min_design=10e6),
            },
            40,
            None,
        ),
        ({"BAT0": own(capacity=60), "BAT1": own(capacity=20)}, 40, None),
        ({"BAT0": own(capacity=60), "BAT1": own(present=0, capacity=0)}, 60, None),
        ({"BAT0": own(capacity=60), "BAT1": own(status="Unknown")}, None, None),
        ({"ups": {"type": "UPS", "capacity": 90, "status": "Discharging"}}, 90, True),
    ],
)
def test_the_charge_is_that_of_the_boards_batteries_together(
    tmp_path: Path, supplies: dict[str, dict[str, Any]], charge_pct: float | None, on_battery: bool | None
) -> None:
    read = sample(tmp_path, **supplies)
    assert (read.battery_pct, read.on_battery) == (pytest.approx(charge_pct), on_battery)


@pytest.mark.parametrize("supplies", [{}, {"mouse": MOUSE}, {"AC": MAINS}, {"BAT0": own(present=0)}])
def test_a_board_without_a_battery_of_its_own_has_no_fault(
    tmp_path: Path, supplies: dict[str, dict[str, Any]]
) -> None:
    with pytest.raises(SensorAbsent):
        sample(tmp_path, **supplies)
