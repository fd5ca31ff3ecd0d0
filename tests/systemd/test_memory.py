"""A model server that grows is ended and started again by systemd, and the agent beside it is left alone.

The model is real. Its libraries are those of the venv that runs the tests, lent to the machine, since
installing torch there again would take minutes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.scenes.render import render
from lab.scenes.scene import draw
from machine import LIBRARIES, PYTHON, SITE, Machine, why_not
from vlm.client import VlmClient

AGENT, MODEL = "inarvl-agent", "inarvl-vlm"
WITH_MODEL = SITE.replace("null", "unix:/run/inarvl/vlm.sock")
# Decoding one photograph of nine megapixels makes the server grow by about 90 MiB.
MODEL_ENV = f"""MODEL=bundled:inarvl-edge-swift
QUANTIZATION=none
OPTIONS=--threads 1 --max-rss-growth-mb 40
PYTHONPATH={LIBRARIES}
"""
QUICK = "[Service]\nWatchdogSec=20\nRestartSec=1\n"
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(OURS != PYTHON, reason=f"the machine has Python {PYTHON}, and these libraries do not"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def board(machine: Machine) -> Iterator[Machine]:
    """The machine with a model server that its agent knows of."""
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
    file = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(file, "JPEG")
    (folder / "shot.jpg").write_bytes(file.getvalue())
    (folder / "agent.yaml").write_text(WITH_MODEL)
    tool = str(Path(sys.executable).with_name("inarvl"))
    asked = ("ask", str(folder / "shot.jpg"), "how many cubes are there?", "--config")
    return machine.on_its_network(tool, *asked, str(folder / "agent.yaml")).stdout


async def grow(machine: Machine) -> None:
    """Ask the model server itself, past the agent, which sends small pictures only."""
    noise = np.random.default_rng(0).integers(0, 255, (3000, 3000, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    client = VlmClient(f"unix:/proc/{machine.leader}/root/run/inarvl/vlm.sock")
    await client.complete("what?", file.getvalue(), model="inarvl-edge-swift", max_tokens=2, timeout_s=60)
    await client.aclose()


async def test_it_alone_is_started_again(board: Machine, tmp_path: Path) -> None:
    agent, model = board.show(AGENT, "MainPID"), board.show(MODEL, "MainPID")
    restarts = board.show(AGENT, "NRestarts")
    board.until(lambda: bool(ask(board, tmp_path)), "the board does not answer")
    await grow(board)
    board.until(lambda: board.show(MODEL, "NRestarts") == "1", "it was not ended, or not started again")
    log = board.run("journalctl", "-u", MODEL, "--no-pager").stdout
    assert "MiB more resident than when it was ready" in log
    board.until(lambda: board.show(MODEL, "ActiveState") == "active", "it did not become ready again")
    assert board.show(MODEL, "MainPID") != model
    board.until(lambda: bool(ask(board, tmp_path)), "the board does not answer any more")
    assert board.show(AGENT, "MainPID") == agent
    assert board.show(AGENT, "NRestarts") == restarts
