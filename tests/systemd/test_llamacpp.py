"""scripts/install makes llama.cpp's server the local model server, and systemd keeps it running.

The server is that of the engine's environment, under the name of llama.cpp's own program.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine_process import ROOT, python_of
from lab.scenes.render import render
from lab.scenes.scene import draw
from machine import NEED_MACHINE, SITE, Machine
from vlm import bundled
from vlm.gguf.export import export
from vlm.gguf.precision import Precision

AGENT, MODEL, OTHER = "inarvl-agent", "inarvl-llamacpp", "inarvl-vlm"
NAME = "inarvl-edge-swift"
SETTINGS = "/etc/inarvl/llamacpp.env"
BINARY = "/usr/local/bin/llama-server"
FILES = "/opt/models"
SITE_WITH_MODEL = SITE.replace("null", "unix:/run/inarvl/vlm.sock") + "profile: /etc/inarvl/board.yaml\n"
PROFILE = f"""name: board
extends: generic-x86
models: {{local: [{{name: {NAME}, resolutions: [96]}}]}}
"""
ENVIRONMENT = f"""MODEL={FILES}/{NAME}-q8_0.gguf
MMPROJ={FILES}/mmproj-{NAME}-f16.gguf
NAME={NAME}
CTX_SIZE=1024
OPTIONS=--threads 1
"""
QUICK = "[Service]\nRestartSec=1\n"
STAND_IN = "[Service]\nType=exec\nWatchdogSec=0\nExecStart=\nExecStart=/bin/sleep infinity\n"

pytestmark = NEED_MACHINE


@pytest.fixture(scope="module")
def board(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine with a program llama-server, a model for it, and an agent that uses it."""
    (packages,) = python_of("llamacpp").parents[1].glob("lib/python3*/site-packages")
    program = (
        f"PYTHONPATH=/src/{packages.relative_to(ROOT)} exec python3 /src/scripts/engines/llama_server.py"
    )
    machine.write(BINARY, f'#!/bin/sh\n{program} "$@"\n')
    machine.run("chmod", "755", BINARY)
    folder = tmp_path_factory.mktemp("gguf")
    for file in export(bundled.path(NAME), NAME, folder, Precision.q8_0):
        machine.run("install", "-d", FILES)
        shutil.copy(file, f"/proc/{machine.leader}/root{FILES}")
    machine.write("/etc/inarvl/board.yaml", PROFILE)
    machine.write("/etc/inarvl/agent.yaml", SITE_WITH_MODEL)
    machine.write(f"/etc/systemd/system/{MODEL}.service.d/quick.conf", QUICK)
    yield machine
    machine.run("systemctl", "disable", "--now", MODEL)
    machine.write("/etc/inarvl/agent.yaml", SITE)
    machine.run("systemctl", "restart", AGENT)


@pytest.fixture(scope="module")
def installed(board: Machine) -> Machine:
    """The board, where scripts/install has started the unit."""
    board.write(SETTINGS, ENVIRONMENT)
    board.install("agent", "llamacpp")
    return board


@pytest.fixture
def served(installed: Machine) -> Machine:
    """The board, whose unit was just started with the right settings."""
    installed.write(SETTINGS, ENVIRONMENT)
    installed.run("systemctl", "stop", MODEL)
    installed.run("systemctl", "reset-failed", MODEL, check=False)
    installed.run("systemctl", "start", MODEL)
    return installed


def asked(machine: Machine, folder: Path) -> subprocess.CompletedProcess[str]:
    """What `inarvl ask` prints about a drawn scene that the board must answer itself."""
    file = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(file, "JPEG")
    (folder / "shot.jpg").write_bytes(file.getvalue())
    (folder / "agent.yaml").write_text(SITE)
    tool = str(Path(sys.executable).with_name("inarvl"))
    question = ("ask", str(folder / "shot.jpg"), "how many cubes are there?", "--pin", "local", "--config")
    return machine.on_its_network(tool, *question, str(folder / "agent.yaml"))


def log(machine: Machine, unit: str = MODEL) -> str:
    """The unit's journal since its last start."""
    invocation = machine.show(unit, "InvocationID")
    return machine.run("journalctl", f"_SYSTEMD_INVOCATION_ID={invocation}", "-o", "cat", "--no-pager").stdout


def server_pid(machine: Machine) -> str:
    return machine.run("pgrep", "-u", MODEL, "-f", "llama_server.py").stdout.strip()


def test_an_installation_without_settings_writes_them_and_waits_for_a_model(board: Machine) -> None:
    board.run("systemctl", "stop", MODEL, check=False)
    board.run("rm", "-f", SETTINGS)
    said = board.install("agent", "llamacpp").stdout
    assert f"Write MODEL and MMPROJ into {SETTINGS}" in said
    assert f"BINARY={BINARY}\n" in board.run("cat", SETTINGS).stdout
    assert board.show(MODEL, "ActiveState") == "inactive"
    assert board.show(MODEL, "UnitFileState") == "enabled"
    assert board.show(AGENT, "ActiveState") == "active"
    board.run("systemctl", "start", MODEL, check=False)
    assert "MODEL is not set; write MODEL=/path" in log(board)


def test_the_board_answers_with_a_confidence(served: Machine, tmp_path: Path) -> None:
    assert served.show(MODEL, "ActiveState") == "active"
    assert served.show(MODEL, "StatusText") == f"serving {NAME}"
    served.until(lambda: asked(served, tmp_path).returncode == 0, "the board does not answer")
    answer = asked(served, tmp_path)
    assert answer.stdout.strip()
    assert re.search(r"confidence +\d+%", answer.stderr), answer.stderr
    assert f"on the board by {NAME}" in answer.stderr


def test_only_the_agent_reaches_the_socket(served: Machine) -> None:
    connect = "import socket; socket.socket(socket.AF_UNIX).connect('/run/inarvl/vlm.sock')"
    agent = ("setpriv", "--reuid=inarvl-agent", "--regid=inarvl-agent", "--groups=inarvl-socket")
    served.run(*agent, "python3", "-c", connect)
    for user in ("nobody", "inarvl-cloud"):
        tried = served.run(
            "setpriv", f"--reuid={user}", "--clear-groups", "python3", "-c", connect, check=False
        )
        assert "PermissionError" in tried.stderr


def test_a_killed_server_comes_back_and_answers(served: Machine, tmp_path: Path) -> None:
    served.until(lambda: asked(served, tmp_path).returncode == 0, "the board does not answer")
    agent, before = served.show(AGENT, "MainPID"), server_pid(served)
    served.run("kill", "-9", before)
    served.until(
        lambda: served.show(MODEL, "NRestarts") == "1" and served.show(MODEL, "ActiveState") == "active",
        "the server was not restarted",
    )
    assert server_pid(served) != before
    served.until(lambda: asked(served, tmp_path).returncode == 0, "the board does not answer any more")
    assert served.show(AGENT, "MainPID") == agent


def test_a_killed_parent_leaves_no_server_behind(served: Machine) -> None:
    before = server_pid(served)
    served.run("kill", "-9", served.show(MODEL, "MainPID"))
    served.until(
        lambda: served.show(MODEL, "NRestarts") == "1" and served.show(MODEL, "ActiveState") == "active",
        "the server was not restarted",
    )
    assert server_pid(served) not in ("", before)
    assert len(server_pid(served).split()) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (f"MODEL={FILES}/other.gguf", f"{FILES}/other.gguf does not exist; write the path"),
        ("MODEL=/etc/hostname", "/etc/hostname is no GGUF file; take a file"),
        ("BINARY=/usr/local/bin/llama", "there is no program /usr/local/bin/llama; install"),
    ],
)
def test_a_wrong_setting_is_one_line_and_no_restart(served: Machine, changed: str, message: str) -> None:
    served.write(SETTINGS, f"{ENVIRONMENT}{changed}\n")
    assert served.run("systemctl", "restart", MODEL, check=False).returncode != 0
    assert served.show(MODEL, "ActiveState") == "failed"
    assert served.show(MODEL, "ExecMainStatus") == "78"
    assert served.show(MODEL, "NRestarts") == "0"
    (line,) = (line for line in log(served).splitlines() if "inarvl-vlm:" in line)
    assert message in line
    assert "Traceback" not in log(served)


def test_a_model_that_does_not_fit_is_not_loaded(served: Machine) -> None:
    served.write(SETTINGS, f"{ENVIRONMENT}RESERVE_MB=1000000000\n")
    assert served.run("systemctl", "restart", MODEL, check=False).returncode != 0
    served.until(lambda: "does not fit" in log(served), "it does not say why")
    assert served.run("pgrep", "-u", MODEL, "-f", "llama_server.py", check=False).stdout == ""


def test_the_doctor_checks_this_unit_in_place_of_the_other(served: Machine) -> None:
    said = served.run("/opt/inarvl/bin/inarvl", "doctor", check=False).stdout
    assert f"{MODEL} is active" in said
    assert f"{OTHER} is" not in said
    assert f"serves {NAME}" in said


def test_the_two_local_model_servers_replace_each_other(served: Machine) -> None:
    """inarvl's own server is here a program that only waits, since its libraries are not on the machine."""
    served.run("install", "-m", "644", f"/src/systemd/{OTHER}.service", "/etc/systemd/system")
    served.write(f"/etc/systemd/system/{OTHER}.service.d/stand-in.conf", STAND_IN)
    served.run("systemctl", "daemon-reload")
    try:
        served.run("systemctl", "enable", "--now", OTHER)
        assert served.show(MODEL, "ActiveState") == "inactive"
        said = served.install("llamacpp").stdout
        assert f"{MODEL} replaces {OTHER}" in said
        assert served.show(OTHER, "ActiveState") == "inactive"
        assert served.show(OTHER, "UnitFileState") == "disabled"
        assert served.show(MODEL, "ActiveState") == "active"
        refused = served.run("/src/scripts/install", "vlm", "llamacpp", check=False)
        assert "vlm and llamacpp are two servers for the same socket" in refused.stderr
    finally:
        served.run("systemctl", "disable", "--now", OTHER)
        served.run("sh", "-c", f"rm -r /etc/systemd/system/{OTHER}.service*")
        served.run("systemctl", "daemon-reload")
