"""systemd restarts a model server whose memory grew too far, and the agent beside it keeps running.

The model is a real one. Its libraries are those of the environment that runs the tests: to install torch on
the machine again would take minutes.
"""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from lab.scenes.render import render
from lab.scenes.scene import draw
from machine import LIBRARIES, NEED_MACHINE, PYTHON, SITE, Machine

AGENT, MODEL = "inarvl-agent", "inarvl-vlm"
SOCKET = "/run/inarvl/vlm.sock"
WITH_MODEL = SITE.replace("null", f"unix:{SOCKET}")
# An answer adds less than the limit, and the unfinished requests of the test far more.
LIMIT_MB, REQUESTS, REQUEST_MB = 120, 8, 30
MODEL_ENV = f"""MODEL=bundled:inarvl-edge-swift
QUANTIZATION=none
OPTIONS=--threads 1 --drain-s 1 --max-rss-growth-mb {LIMIT_MB}
PYTHONPATH={LIBRARIES}
"""
QUICK = "[Service]\nWatchdogSec=20\nRestartSec=1\n"
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = [
    *NEED_MACHINE,
    pytest.mark.skipif(THIS_PYTHON != PYTHON, reason=f"the machine needs libraries for Python {PYTHON}"),
]


@pytest.fixture
def board(machine: Machine) -> Iterator[Machine]:
    """The machine with a model server that the agent uses."""
    machine.write("/etc/inarvl/vlm.env", MODEL_ENV)
    machine.write(f"/etc/systemd/system/{MODEL}.service.d/quick.conf", QUICK)
    machine.run("install", "-m", "644", f"/src/systemd/{MODEL}.service", "/etc/systemd/system")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", MODEL)
    machine.write("/etc/inarvl/agent.yaml", WITH_MODEL)
    machine.run("systemctl", "reload", AGENT)
    yield machine
    machine.write("/etc/inarvl/agent.yaml", SITE)
    machine.run("systemctl", "reload", AGENT)
    machine.run("systemctl", "stop", MODEL)


def ask(machine: Machine, folder: Path) -> str:
    """Ask the agent on the machine; its answer, empty without one."""
    file = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(file, "JPEG")
    (folder / "shot.jpg").write_bytes(file.getvalue())
    (folder / "agent.yaml").write_text(WITH_MODEL)
    tool = str(Path(sys.executable).with_name("inarvl"))
    asked = ("ask", str(folder / "shot.jpg"), "how many cubes are there?", "--config")
    return machine.on_its_network(tool, *asked, str(folder / "agent.yaml")).stdout


@contextmanager
def unfinished_request(machine: Machine) -> Iterator[None]:
    """Send REQUEST_MB of a request that does not end, so that the model server keeps them in memory."""
    size = REQUEST_MB * 2**20
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: vlm\r\nContent-Length: {size + 1}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/proc/{machine.leader}/root{SOCKET}")
        connection.sendall(head.encode() + b" " * size)
        yield


def test_only_the_model_server_is_restarted(board: Machine, tmp_path: Path) -> None:
    agent, model = board.show(AGENT, "MainPID"), board.show(MODEL, "MainPID")
    restarts = board.show(AGENT, "NRestarts")
    board.until(lambda: bool(ask(board, tmp_path)), "the board does not answer")
    assert board.show(MODEL, "MainPID") == model
    with ExitStack() as requests:
        for _ in range(REQUESTS):
            requests.enter_context(unfinished_request(board))
        board.until(lambda: board.show(MODEL, "NRestarts") == "1", "the model server was not restarted")
    log = board.run("journalctl", "-u", MODEL, "--no-pager").stdout
    assert "MiB more resident than when it was ready" in log
    board.until(lambda: board.show(MODEL, "ActiveState") == "active", "the model server is not ready again")
    assert board.show(MODEL, "MainPID") != model
    board.until(lambda: bool(ask(board, tmp_path)), "the board does not answer any more")
    assert board.show(AGENT, "MainPID") == agent
    assert board.show(AGENT, "NRestarts") == restarts
