"""The unit files are valid for systemd, and agree with the programs that they start and with each other."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import typer.main

from agent.config.settings import Settings
from agent.daemon import daemon
from vlm import server

FOLDER = Path(__file__).parents[2] / "systemd"
LOCAL = ("inarvl-vlm.service", "inarvl-llamacpp.service")
UNITS = ("inarvl-agent.service", *LOCAL, "inarvl-cloud.service")
BIN = "/opt/inarvl/bin"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt package systemd)"
)


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def settings_of(unit: str) -> list[tuple[str, str]]:
    text = (FOLDER / unit).read_text().replace("\\\n", " ")
    return re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)


def setting(unit: str, key: str) -> str:
    (value,) = (value for name, value in settings_of(unit) if name == key)
    return value


def environment(unit: str) -> dict[str, str]:
    pairs = (word for name, value in settings_of(unit) if name == "Environment" for word in value.split())
    return dict(pair.split("=", 1) for pair in pairs)


def expanded(unit: str) -> list[str]:
    """ExecStart as systemd expands it: `${NAME}` into one word, `$NAME` into any number of words."""

    def words() -> Iterator[str]:
        for word in shlex.split(setting(unit, "ExecStart")):
            if word.startswith("$") and not word.startswith("${"):
                yield from known[word[1:]].split()
            else:
                yield re.sub(r"\$\{(\w+)\}", lambda found: known[found[1]], word)

    known = environment(unit)
    return list(words())


def seconds(span: str) -> float:
    number, per = re.fullmatch(r"(\d+)(min|h|)", span).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "min": 60, "h": 3600}[per]


def test_every_unit_file_is_tested() -> None:
    assert {path.name for path in FOLDER.glob("*.service")} == set(UNITS)


def test_a_unit_starts_an_inarvl_command_with_options_that_it_has(unit: str) -> None:
    program, subcommand, *arguments = expanded(unit)
    folder, _, name = program.rpartition("/")
    assert folder == BIN
    (script,) = (entry for entry in metadata.entry_points(group="console_scripts") if entry.name == name)
    group = typer.main.get_command(script.load())
    command = group.commands[subcommand]  # type: ignore[attr-defined]
    command.make_context(name, arguments)  # raises on an unknown option or an invalid value


@needs_systemd
def test_systemd_finds_no_error_in_a_unit(unit: str, tmp_path: Path) -> None:
    """For an unknown key systemd only warns, so any message about the unit counts as an error."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / Path(expanded(unit)[0]).name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    installed = tmp_path / unit
    installed.write_text((FOLDER / unit).read_text().replace(BIN, str(programs)))
    found = subprocess.run(
        ["systemd-analyze", "verify", str(installed)], capture_output=True, text=True, check=False
    )
    assert [line for line in found.stderr.splitlines() if "inarvl" in line] == []
    assert found.returncode == 0


@needs_systemd
def test_systemd_rates_a_unit_at_1_5_or_safer(unit: str) -> None:
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(FOLDER / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-400:]


@needs_systemd
@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_user_and_groups_of_a_unit_are_created(unit: str, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "inarvl.sysusers")],
        check=True,
        capture_output=True,
    )
    users = {line.split(":")[0] for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert setting(unit, "User") in users
    needed = {setting(unit, "Group")}
    needed |= {
        word for key, value in settings_of(unit) if key == "SupplementaryGroups" for word in value.split()
    }
    assert needed <= groups


def test_a_unit_has_a_watchdog_and_is_restarted(unit: str) -> None:
    assert setting(unit, "Type") == "notify"
    assert setting(unit, "Restart") == "on-failure"
    assert seconds(setting(unit, "WatchdogSec")) > 0
    restarts_s = seconds(setting(unit, "RestartSec")) * int(setting(unit, "StartLimitBurst"))
    assert restarts_s < seconds(setting(unit, "StartLimitIntervalSec")), (
        "the start limit can never be reached"
    )


def test_systemd_waits_longer_than_a_unit_needs_to_drain() -> None:
    words = expanded("inarvl-vlm.service")
    drain_s = float(words[words.index("--drain-s") + 1])
    assert seconds(setting("inarvl-vlm.service", "TimeoutStopSec")) > drain_s + server.CLOSE_S
    assert seconds(setting("inarvl-agent.service", "TimeoutStopSec")) > daemon.DRAIN_S


@pytest.mark.parametrize(("unit", "option"), [(LOCAL[0], "--listen"), (LOCAL[1], "--socket")])
def test_the_agent_looks_for_the_model_server_where_its_unit_listens(unit: str, option: str) -> None:
    words = expanded(unit)
    path = words[words.index(option) + 1].removeprefix("unix:")
    assert f"unix:{path}" == Settings().local
    assert Path(path).parent == Path("/run") / setting(unit, "RuntimeDirectory")


def test_the_two_local_model_servers_exclude_each_other_and_one_ends_before_the_other_starts() -> None:
    vlm, llamacpp = LOCAL
    assert setting(llamacpp, "Conflicts") == vlm
    assert vlm in setting(llamacpp, "After").split()


def test_llama_cpp_is_not_restarted_because_of_a_wrong_setting() -> None:
    assert int(setting("inarvl-llamacpp.service", "RestartPreventExitStatus")) == os.EX_CONFIG


def test_each_unit_has_a_user_of_its_own_and_the_socket_is_all_that_two_of_them_share() -> None:
    users = [setting(unit, "User") for unit in UNITS]
    assert users == ["inarvl-agent", "inarvl-vlm", "inarvl-llamacpp", "inarvl-cloud"]
    groups = {unit: {setting(unit, "Group"), *setting(unit, "SupplementaryGroups").split()} for unit in UNITS}
    agent, vlm, llamacpp, cloud = (groups[unit] for unit in UNITS)
    assert agent & vlm == {setting("inarvl-vlm.service", "Group")} == {"inarvl-socket"}
    assert llamacpp == vlm
    assert agent & cloud == set()
    assert vlm & cloud == {"video", "render"}


def test_only_its_owner_can_read_the_files_of_a_unit(unit: str) -> None:
    assert setting(unit, "StateDirectoryMode") == "0700"
    assert setting(unit, "UMask") == "0077"


def test_the_watchdog_waits_longer_than_the_model_server_needs_to_drain() -> None:
    """It is fed every half period, and not while the server stops."""
    words = expanded("inarvl-vlm.service")
    drain_s = float(words[words.index("--drain-s") + 1])
    watchdog_s = seconds(setting("inarvl-vlm.service", "WatchdogSec"))
    assert watchdog_s / 2 + drain_s + server.CLOSE_S < watchdog_s
