"""A process of a model's unit, with all its restrictions, can read neither the agent's spool nor any key.

The process is a script in place of the model server: the same unit, whose drop-in changes the program only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from machine import NEED_MACHINE, SITE, Machine

AGENT = "inarvl-agent"
MARKER = "marker-of-a-secret"
SECRETS = f"""
install -d /etc/inarvl
for name in mqtt.password gpu.key; do echo {MARKER} > /etc/inarvl/$name; done
chgrp inarvl-agent /etc/inarvl/*.password /etc/inarvl/*.key
chmod 640 /etc/inarvl/*.password /etc/inarvl/*.key
echo {MARKER} > /etc/inarvl/only-root.key; chmod 600 /etc/inarvl/only-root.key
"""
WITH_SECRETS = SITE + (
    "broker: {username: agent, password_file: /etc/inarvl/mqtt.password}\n"
    "peers: [{id: far, url: 'https://127.0.0.1:9', api_key_file: 'credential:far.key'}]\n"
)
CREDENTIAL = "[Service]\nLoadCredential=far.key:/etc/inarvl/only-root.key\n"
PROBE = """
import glob, json, os, pathlib, socket, sys
found = {}
def attempt(name, action):
    try:
        found[name] = repr(action())
    except OSError as error:
        found[name] = "denied: " + error.strerror
agent = int(sys.argv[1])
for folder in ("/var/lib/inarvl-agent", f"/proc/{agent}", f"/proc/{agent}/root", "/run/credentials",
               "/run/credentials/inarvl-agent.service", "/root", "/home"):
    attempt(folder, lambda: os.listdir(folder))
for file in ("/var/lib/inarvl-agent/spool.db", "/var/lib/inarvl-agent/learned.json",
             "/etc/inarvl/mqtt.password", "/etc/inarvl/gpu.key", "/etc/inarvl/only-root.key",
             "/run/credentials/inarvl-agent.service/far.key",
             f"/proc/{agent}/environ", f"/proc/{agent}/mem", f"/proc/{agent}/cmdline", "/etc/shadow"):
    attempt(file, lambda: open(file, "rb").read(100))
for file in ("/etc/inarvl/agent.yaml", "/opt/inarvl/bin/inarvl", "/var/lib/inarvl-agent/spool.db", "/usr/x"):
    attempt("write " + file, lambda: open(file, "ab"))
attempt("kill", lambda: os.kill(agent, 0))
attempt("setuid", lambda: os.setuid(0))
attempt("netlink", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
found["own folder"] = repr(sorted(os.listdir(os.environ["STATE_DIRECTORY"])))
pathlib.Path(os.environ["STATE_DIRECTORY"], "found.json").write_text(json.dumps(found))
"""

pytestmark = NEED_MACHINE


@pytest.fixture
def board(machine: Machine) -> Iterator[Machine]:
    """The machine whose agent has a password and a key, one of them as a credential."""
    machine.run("sh", "-c", SECRETS)
    machine.write(f"/etc/systemd/system/{AGENT}.service.d/credential.conf", CREDENTIAL)
    machine.write("/etc/inarvl/agent.yaml", WITH_SECRETS)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", AGENT)
    yield machine
    machine.run("rm", "-r", f"/etc/systemd/system/{AGENT}.service.d")
    machine.write("/etc/inarvl/agent.yaml", SITE)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", AGENT)


def test_the_agent_reads_a_secret_that_only_root_can_read_as_a_credential(board: Machine) -> None:
    assert board.show(AGENT, "ActiveState") == "active"
    assert board.run("stat", "-c", "%U %a", "/etc/inarvl/only-root.key").stdout.strip() == "root 600"
    log = board.run("journalctl", "-u", AGENT, "--no-pager").stdout
    assert "server far is found" in log
    assert MARKER not in log


def test_an_agent_without_the_credential_that_its_site_file_names_says_how_to_give_it(board: Machine) -> None:
    board.write(f"/etc/systemd/system/{AGENT}.service.d/credential.conf", "[Service]\nRestart=no\n")
    board.run("systemctl", "daemon-reload")
    board.run("systemctl", "restart", AGENT, check=False)
    board.until(lambda: board.show(AGENT, "ActiveState") == "failed", "the agent runs without its key")
    log = board.run("journalctl", "-u", AGENT, "--no-pager", "-n", "20").stdout
    assert "LoadCredential=far.key:/etc/inarvl/far.key" in log
    board.run("systemctl", "reset-failed", AGENT)


@pytest.mark.parametrize("part", ["vlm", "llamacpp", "cloud"])
def test_a_model_process_reads_neither_the_spool_nor_a_key(board: Machine, part: str) -> None:
    unit, agent = f"inarvl-{part}", board.show(AGENT, "MainPID")
    assert "spool.db" in board.run("ls", "/var/lib/inarvl-agent").stdout
    program = f"/usr/bin/python3 /usr/local/lib/probe.py {agent}"
    board.write("/usr/local/lib/probe.py", PROBE)
    board.write(
        f"/etc/systemd/system/{unit}.service.d/probe.conf",
        f"[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStart={program}\n",
    )
    board.run("install", "-m", "644", f"/src/systemd/{unit}.service", "/etc/systemd/system")
    board.run("systemctl", "daemon-reload")
    board.run("systemctl", "start", unit)
    found = json.loads(board.run("cat", f"/var/lib/inarvl-{part}/found.json").stdout)
    board.run("rm", "-r", f"/etc/systemd/system/{unit}.service.d")
    board.run("systemctl", "daemon-reload")
    own = found.pop("own folder")
    assert own == "[]"
    allowed = {name: result for name, result in found.items() if not result.startswith("denied: ")}
    assert allowed == {}
    assert MARKER not in json.dumps(found)


def test_an_installation_with_one_user_for_all_parts_is_divided(machine: Machine) -> None:
    """The old one had the user and group `inarvl`; a link that a service left is not followed."""
    machine.run("sh", "-c", "id inarvl || useradd --system --user-group inarvl")
    machine.run("systemctl", "stop", AGENT)
    old = """
    install -d -o inarvl -g inarvl -m 750 /var/lib/inarvl-vlm /var/lib/inarvl-cloud
    chown -R inarvl:inarvl /var/lib/inarvl-agent; chmod -R g+rX /var/lib/inarvl-agent
    ln -sf /etc/shadow /var/lib/inarvl-vlm/link
    echo downloaded > /var/lib/inarvl-vlm/weights; chown -h inarvl:inarvl /var/lib/inarvl-vlm/*
    echo 'OPTIONS=--broker mqtt://b --password-file /etc/inarvl/cloud.password' > /etc/inarvl/cloud.env
    for name in cloud mqtt; do
        echo secret-of-old > /etc/inarvl/$name.password
        chgrp inarvl /etc/inarvl/$name.password; chmod 640 /etc/inarvl/$name.password
    done
    """
    machine.run("sh", "-c", old)
    shadow = machine.run("stat", "-c", "%U %G %a", "/etc/shadow").stdout
    (wheel,) = machine.run("sh", "-c", "ls /wheels/inarvl-*.whl").stdout.split()
    offline = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels")
    said = machine.run(*offline, "/src/scripts/install", "--from", wheel, "agent").stdout
    assert "/var/lib/inarvl-vlm now belongs to the user inarvl-vlm" in said
    for part in ("agent", "vlm", "cloud"):
        found = machine.run("stat", "-c", "%U %a", f"/var/lib/inarvl-{part}").stdout.strip()
        assert found == f"inarvl-{part} 700"
    assert machine.run("stat", "-c", "%U %a", "/var/lib/inarvl-vlm/weights").stdout == "inarvl-vlm 600\n"
    assert machine.run("stat", "-c", "%U %G %a", "/etc/shadow").stdout == shadow
    assert machine.run("cat", "/var/lib/inarvl-vlm/weights").stdout == "downloaded\n"
    assert machine.show(AGENT, "ActiveState") == "active"
    groups = machine.run("stat", "-c", "%G", "/etc/inarvl/cloud.password", "/etc/inarvl/mqtt.password").stdout
    assert groups.split() == ["inarvl-cloud", "inarvl"]
    assert "inarvl" in machine.run("id", "-Gn", "inarvl-agent").stdout.split()
    for user in ("inarvl-vlm", "inarvl-cloud"):
        read = machine.run(
            "setpriv",
            f"--reuid={user}",
            "--init-groups",
            f"--regid={user}",
            "cat",
            "/etc/inarvl/mqtt.password",
            check=False,
        )
        assert "Permission denied" in read.stderr
    machine.run("rm", "/etc/inarvl/cloud.env")
