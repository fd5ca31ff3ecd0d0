"""systemd runs the agent that scripts/install installed on a Debian machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import NEED_MACHINE, SITE, Machine

UNIT = "inarvl-agent"

pytestmark = NEED_MACHINE


def active(machine: Machine) -> bool:
    return machine.show(UNIT, "ActiveState") == "active"


def pid(machine: Machine) -> str:
    return machine.show(UNIT, "MainPID")


def status(machine: Machine, tmp_path: Path) -> str:
    (tmp_path / "agent.yaml").write_text(SITE)
    tool = str(Path(sys.executable).with_name("inarvl"))
    return machine.on_its_network(tool, "status", "--config", str(tmp_path / "agent.yaml")).stdout


def test_the_agent_is_ready_and_has_a_status_text(machine: Machine, tmp_path: Path) -> None:
    assert active(machine)
    machine.until(lambda: "answered" in machine.show(UNIT, "StatusText"), "the agent has no status text")
    machine.until(lambda: "online" in status(machine, tmp_path), "the broker has no status `online`")


def test_a_reload_uses_a_valid_site_file_and_ignores_an_invalid_one(machine: Machine) -> None:
    before = pid(machine)
    machine.write("/etc/inarvl/agent.yaml", SITE + "peers: [{id: far, url: 'http://127.0.0.1:9'}]\n")
    machine.run("systemctl", "reload", UNIT)
    machine.until(lambda: "applied peers" in machine.show(UNIT, "StatusText"), "no setting was applied")
    machine.write("/etc/inarvl/agent.yaml", "peers: 7\n")
    machine.run("systemctl", "reload", UNIT)
    machine.until(
        lambda: "kept the old settings" in machine.show(UNIT, "StatusText"),
        "the invalid file was not rejected",
    )
    machine.write("/etc/inarvl/agent.yaml", SITE)
    assert pid(machine) == before


def test_a_killed_agent_is_restarted(machine: Machine) -> None:
    before, restarts = pid(machine), int(machine.show(UNIT, "NRestarts"))
    machine.run("kill", "-9", before)
    machine.until(
        lambda: active(machine) and pid(machine) not in (before, "0"), "the agent was not restarted"
    )
    assert int(machine.show(UNIT, "NRestarts")) == restarts + 1


@pytest.fixture
def short_watchdog(machine: Machine) -> Iterator[None]:
    """The agent has a watchdog of five seconds in one test: longer pauses are no error on a busy machine."""
    folder = f"/etc/systemd/system/{UNIT}.service.d"
    machine.write(f"{folder}/quick.conf", "[Service]\nWatchdogSec=5\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)
    yield
    machine.run("rm", "-r", folder)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)


@pytest.mark.usefixtures("short_watchdog")
def test_the_watchdog_ends_a_hung_agent_which_is_restarted(machine: Machine) -> None:
    before = pid(machine)
    machine.run("kill", "-STOP", before)
    machine.until(
        lambda: active(machine) and pid(machine) not in (before, "0"), "the agent was not restarted"
    )
    assert "Watchdog timeout" in machine.run("journalctl", "-u", UNIT, "--no-pager").stdout


def test_systemd_finds_no_error_in_the_unit_and_rates_it_1_5_or_safer(machine: Machine) -> None:
    found = machine.run("systemd-analyze", "verify", f"{UNIT}.service", check=False)
    assert [line for line in found.stderr.splitlines() if "inarvl" in line] == []
    machine.run("systemd-analyze", "security", "--threshold=15", f"{UNIT}.service")


def test_the_state_folder_belongs_to_the_agent_and_the_configuration_to_root(machine: Machine) -> None:
    found = machine.run("stat", "-c", "%U %a %n", "/var/lib/inarvl-agent", "/etc/inarvl").stdout.split("\n")
    assert found[:2] == ["inarvl-agent 700 /var/lib/inarvl-agent", "root 755 /etc/inarvl"]


def test_a_stopped_agent_exits_with_0_and_publishes_offline(machine: Machine, tmp_path: Path) -> None:
    machine.run("systemctl", "stop", UNIT)
    assert machine.show(UNIT, "Result") == "success"
    assert machine.show(UNIT, "ExecMainStatus") == "0"
    machine.until(lambda: "offline" in status(machine, tmp_path), "the broker has no status `offline`")
    assert {"learned.json", "spool.db"} <= set(machine.run("ls", "/var/lib/inarvl-agent").stdout.split())
