"""The agent as systemd runs it: installed by scripts/install on a Debian of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from machine import SITE, Machine, why_not

UNIT = "inarvl-agent"

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(900),
]


def active(machine: Machine) -> bool:
    return machine.show(UNIT, "ActiveState") == "active"


def pid(machine: Machine) -> str:
    return machine.show(UNIT, "MainPID")


def status(machine: Machine, tmp_path: Path) -> str:
    (tmp_path / "agent.yaml").write_text(SITE)
    tool = str(Path(sys.executable).with_name("inarvl"))
    return machine.on_its_network(tool, "status", "--config", str(tmp_path / "agent.yaml")).stdout


def test_it_is_ready_and_says_what_it_does(machine: Machine, tmp_path: Path) -> None:
    assert active(machine)
    machine.until(lambda: "answered" in machine.show(UNIT, "StatusText"), "it has no status text")
    machine.until(lambda: "online" in status(machine, tmp_path), "the broker does not know it")


def test_a_changed_site_file_is_taken_over_and_a_bad_one_is_not(machine: Machine) -> None:
    before = pid(machine)
    machine.write("/etc/inarvl/agent.yaml", SITE + "peers: [{id: far, url: 'http://127.0.0.1:9'}]\n")
    machine.run("systemctl", "reload", UNIT)
    machine.until(lambda: "took over peers" in machine.show(UNIT, "StatusText"), "nothing was taken over")
    machine.write("/etc/inarvl/agent.yaml", "peers: 7\n")
    machine.run("systemctl", "reload", UNIT)
    machine.until(
        lambda: "kept the old settings" in machine.show(UNIT, "StatusText"), "the bad file was taken"
    )
    machine.write("/etc/inarvl/agent.yaml", SITE)
    assert pid(machine) == before


def test_a_killed_agent_is_started_again(machine: Machine) -> None:
    before, restarts = pid(machine), int(machine.show(UNIT, "NRestarts"))
    machine.run("kill", "-9", before)
    machine.until(lambda: active(machine) and pid(machine) not in (before, "0"), "it was not started again")
    assert int(machine.show(UNIT, "NRestarts")) == restarts + 1


def test_a_hung_agent_is_ended_by_the_watchdog_and_started_again(machine: Machine) -> None:
    before = pid(machine)
    machine.run("kill", "-STOP", before)
    machine.until(lambda: active(machine) and pid(machine) not in (before, "0"), "it was not started again")
    assert "Watchdog timeout" in machine.run("journalctl", "-u", UNIT, "--no-pager").stdout


def test_systemd_finds_no_fault_and_rates_it_safe(machine: Machine) -> None:
    found = machine.run("systemd-analyze", "verify", f"{UNIT}.service", check=False)
    assert [line for line in found.stderr.splitlines() if "inarvl" in line] == []
    machine.run("systemd-analyze", "security", "--threshold=25", f"{UNIT}.service")


def test_what_it_keeps_is_its_own(machine: Machine) -> None:
    found = machine.run("stat", "-c", "%U %a %n", "/var/lib/inarvl-agent", "/etc/inarvl").stdout.split("\n")
    assert found[:2] == ["inarvl 750 /var/lib/inarvl-agent", "root 755 /etc/inarvl"]


def test_a_stopped_agent_ends_well_and_says_so(machine: Machine, tmp_path: Path) -> None:
    machine.run("systemctl", "stop", UNIT)
    assert machine.show(UNIT, "Result") == "success"
    assert machine.show(UNIT, "ExecMainStatus") == "0"
    machine.until(lambda: "offline" in status(machine, tmp_path), "the broker does not know that it left")
    assert {"learned.json", "spool.db"} <= set(machine.run("ls", "/var/lib/inarvl-agent").stdout.split())
