"""The power of a profile follows the power mode of the board."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.yaml_file import ConfigError
from agent.profile.loading import bundled, load_profile

POWER = "power: {idle_w: 5, local_w: 8, wait_w: 0.5, radio_w: 1, mode: 15W}"
MODES = "power_modes: [{name: 15W, id: 0, budget_w: 15}, {name: 30W, id: 1, budget_w: 30}, "
MODES += "{name: MAXN, id: 2, local_w: 20, idle_w: 6}, {name: 7W, id: 1, budget_w: 7}]"


def profile(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(f"name: p\n{text}\n")
    return path


@pytest.mark.parametrize(
    ("mode", "idle_w", "local_w"),
    [
        ("15W", 5, 8),
        ("MODE_30W", 5, 16),  # in proportion to the budgets
        ("30w", 5, 16),
        ("MAXN", 6, 20),
        ("2", 6, 20),
        ("0", 5, 8),
        ("1", 5, 8),  # two modes have this number
        ("50W", 5, 8),
        (None, 5, 8),
    ],
)
def test_the_power_is_that_of_the_mode(
    tmp_path: Path, mode: str | None, idle_w: float, local_w: float
) -> None:
    power = load_profile(str(profile(tmp_path, f"{POWER}\n{MODES}"))).power_in(mode)
    assert (power.idle_w, power.local_w, power.wait_w) == (idle_w, pytest.approx(local_w), 0.5)


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        (f"{POWER}", "power.mode", "15W is not one of power_modes (none)"),
        (f"{POWER}\npower_modes: [{{name: 7W, budget_w: 7}}]", "power.mode", "(7W)"),
        (f"{POWER}\npower_modes: [{{name: MAXN}}]", "power_modes.0", "write its local_w"),
        (f"{POWER}\npower_modes: [{{name: MAXN, local_w: 0}}]", "power_modes.0", "write its watts"),
        (
            f"{POWER}\npower_modes: [{{name: 15W, budget_w: 15000}}]",
            "power_modes.0.budget_w",
            "in milliwatts?",
        ),
    ],
)
def test_an_error_in_the_modes_says_what_to_write(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_profile(str(profile(tmp_path, text)))
    assert place in str(raised.value)
    assert remedy in str(raised.value)


@pytest.mark.parametrize("name", [name for name in bundled() if load_profile(name).power_modes])
def test_the_modes_of_a_bundled_profile_are_plausible(name: str) -> None:
    bundled_profile = load_profile(name)
    assert bundled_profile.power.mode is not None
    names = [mode.name for mode in bundled_profile.power_modes]
    assert len(set(names)) == len(names)
    for mode in bundled_profile.power_modes:
        power = bundled_profile.power_in(mode.name)
        assert 0 < power.idle_w <= 2 * bundled_profile.power.idle_w
        assert mode.budget_w is None or power.local_w <= mode.budget_w
    by_budget = sorted(
        (mode.budget_w, bundled_profile.power_in(mode.name).local_w)
        for mode in bundled_profile.power_modes
        if mode.budget_w
    )
    assert [power for _, power in by_budget] == sorted(power for _, power in by_budget)


@pytest.mark.parametrize("name", bundled())
def test_each_figure_of_power_has_a_source_or_is_marked_as_an_estimate(name: str) -> None:
    (power,) = [line for line in load_profile(name).sources if line.startswith("power: ")]
    assert "estimate" in power
