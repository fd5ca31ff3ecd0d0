"""The units of the model servers load a bundled model under all their restrictions, and the agent reaches it.

The libraries are those of the environment that runs the tests: to install torch on the machine would take
minutes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from machine import LIBRARIES, NEED_MACHINE, PYTHON, Machine

ENVIRONMENT = f"QUANTIZATION=none\nOPTIONS=--threads 1\nPYTHONPATH={LIBRARIES}\n"
MODELS = {"vlm": "inarvl-edge-swift", "cloud": "inarvl-cloud-mid"}
DROP_INS = {
    "as installed": "",
    "without network": "PrivateNetwork=yes\n",
    "with users of its own": "PrivateUsers=yes\nPrivateDevices=yes\nDeviceAllow=\n",
}
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CARDS = """
import http.client, json, socket, sys
connection = http.client.HTTPConnection("127.0.0.1", 8020)
if sys.argv[1] == "vlm":
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/run/inarvl/vlm.sock")
connection.request("GET", "/v1/models")
print(connection.getresponse().read().decode())
"""

pytestmark = [
    *NEED_MACHINE,
    pytest.mark.skipif(THIS_PYTHON != PYTHON, reason=f"the machine needs libraries for Python {PYTHON}"),
]


@pytest.fixture
def part(request: pytest.FixtureRequest, machine: Machine) -> Iterator[str]:
    """A part whose unit is installed, and is removed afterwards."""
    part = str(request.param)
    machine.write(f"/etc/inarvl/{part}.env", f"MODEL=bundled:{MODELS[part]}\n{ENVIRONMENT}")
    machine.run("install", "-m", "644", f"/src/systemd/inarvl-{part}.service", "/etc/systemd/system")
    yield part
    machine.run("systemctl", "stop", f"inarvl-{part}", check=False)
    machine.run("rm", "-rf", f"/etc/systemd/system/inarvl-{part}.service.d", f"/etc/inarvl/{part}.env")
    machine.run("systemctl", "daemon-reload")


@pytest.mark.parametrize(
    ("part", "drop_in"),
    [(part, name) for part in MODELS for name in DROP_INS if (part, name) != ("cloud", "without network")],
    indirect=["part"],
)
def test_a_model_is_loaded_under_all_restrictions(machine: Machine, part: str, drop_in: str) -> None:
    unit = f"inarvl-{part}"
    machine.write(f"/etc/systemd/system/{unit}.service.d/more.conf", f"[Service]\n{DROP_INS[drop_in]}")
    machine.run("systemctl", "daemon-reload")
    started = machine.run("systemctl", "restart", unit, check=False)
    log = machine.run("journalctl", "-u", unit, "-n", "20", "--no-pager").stdout
    assert started.returncode == 0, log
    answer = machine.run(
        "setpriv",
        "--reuid=inarvl-agent",
        "--regid=inarvl-agent",
        "--groups=inarvl-socket",
        "python3",
        "-c",
        CARDS,
        part,
    ).stdout
    (card,) = json.loads(answer)["data"]
    assert card["id"] == MODELS[part]
    assert len(card["inarvl"]["sha256"]) == 64


@pytest.mark.parametrize("part", ["vlm"], indirect=True)
def test_only_the_agent_reaches_the_socket_of_the_model_server(machine: Machine, part: str) -> None:
    machine.run("systemctl", "restart", f"inarvl-{part}")
    for user in ("nobody", "inarvl-cloud", "mosquitto"):
        as_user = ("setpriv", f"--reuid={user}", "--clear-groups")
        tried = machine.run(*as_user, "python3", "-c", CARDS, part, check=False)
        assert "PermissionError" in tried.stderr


@pytest.mark.parametrize("part", ["vlm"], indirect=True)
def test_a_model_server_whose_model_is_not_the_pinned_one_does_not_start(machine: Machine, part: str) -> None:
    environment = f"MODEL=bundled:{MODELS[part]}\nPYTHONPATH={LIBRARIES}\nOPTIONS=--sha256 {'0' * 64}\n"
    machine.write(f"/etc/inarvl/{part}.env", environment)
    machine.write(f"/etc/systemd/system/inarvl-{part}.service.d/more.conf", "[Service]\nRestart=no\n")
    machine.run("systemctl", "daemon-reload")
    assert machine.run("systemctl", "restart", f"inarvl-{part}", check=False).returncode != 0
    log = machine.run("journalctl", "-u", f"inarvl-{part}", "-n", "20", "--no-pager").stdout
    assert "is not the model that was pinned" in log
    machine.run("systemctl", "reset-failed", f"inarvl-{part}")
