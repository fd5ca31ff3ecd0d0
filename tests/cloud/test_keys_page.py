"""The commands of docs/keys.md, run as they stand there, on a machine of their own.

They run in a new network and mount namespace, in which this machine is the peer and the board at once: its
address and its folder /etc/inarvl exist in there only. Only `scp` is replaced, by a copy on the same machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from agent.config.settings import Settings
from agent.standalone.broker import find_mosquitto

PAGE = Path(__file__).parents[2] / "docs/keys.md"
TIMEOUT_S = 240
SET_UP = """
set -eu
mount -t tmpfs none /etc/inarvl
ip link set lo up
ip address add 10.0.0.7/32 dev lo
printf '127.0.0.1 localhost\\n10.0.0.7 gpu-1.example.net\\n' > hosts
mount --bind hosts /etc/hosts
"""
PROGRAM = '#!/bin/sh\nexec {python} -c "from {module} import app; app(prog_name=\'{name}\')" "$@"\n'
COPY = """#!/bin/sh
for last; do :; done
recursive= ; [ "$1" = -r ] && { recursive=-r; shift; }
exec cp $recursive "$1" "${last#*:}"
"""
SERVE = """
serve > peer.log 2>&1 &
peer=$!
trap 'kill $peer $broker' EXIT
until grep -q "ready: " peer.log; do kill -0 $peer; sleep 0.1; done
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("unshare", "ip", "curl", "mosquitto_sub"))) or not find_mosquitto(),
        reason="util-linux, iproute2, curl, mosquitto or mosquitto-clients is missing",
    ),
]


def blocks() -> dict[str, str]:
    """Returns the commands of each section; those of a list of several blocks by the first word of each."""
    page = PAGE.read_text()
    found = re.findall(r"\n\n((?:    .*\n(?:\n(?=    ))?)+)", page)
    texts = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]
    return {" ".join(text.split()[:2]): text for text in texts}


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("inarvl-cloud", "cloud.cli"), ("inarvl", "agent.cli.main")):
        (programs / name).write_text(PROGRAM.format(python=sys.executable, module=module, name=name))
    (programs / "scp").write_text(COPY)
    for program in programs.iterdir():
        program.chmod(0o755)
    mount_point = Path("/etc/inarvl")
    is_new = not mount_point.exists()
    mount_point.mkdir(exist_ok=True)
    ran = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", SET_UP + script],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if is_new:
        mount_point.rmdir()
    return ran


def test_the_page_has_the_commands_that_are_tested_here() -> None:
    assert set(blocks()) == {
        "inarvl-cloud keygen",
        "scp -r",
        "inarvl-cloud serve",
        "curl --cacert",
        "peers: -",
        "inarvl-cloud announce",
    }


def test_its_lines_of_the_site_file_are_valid() -> None:
    pytest.importorskip("agent.config.peer_settings")
    (peer,) = Settings.model_validate(yaml.safe_load(blocks()["peers: -"])).peers
    assert peer.url == "https://gpu-1.example.net:8020"


@pytest.mark.skipif(find_spec("torch") is None, reason="the vlm extra is not installed")
def test_a_peer_and_a_device_get_their_keys_and_work_together(tmp_path: Path) -> None:
    page = blocks()
    curl = page["curl --cacert"]
    without = re.sub(r"--cert \S+ --key \S+", "", curl)
    broker = f"{find_mosquitto()} -p 1883 > broker.log 2>&1 &\nbroker=$!\n"
    announced = "--no-zeroconf --broker mqtt://127.0.0.1:1883"
    serve = f"serve() {{ exec {page['inarvl-cloud serve'].rstrip()} {announced}; }}\n"
    announce = page["inarvl-cloud announce"].rstrip()
    checks = f"""
{curl}
echo; echo PART
mosquitto_sub -h 127.0.0.1 -C 1 -W 60 -t inarvl/peers/gpu-1
echo; echo PART
{re.sub("Bearer [^)]*[)]", "Bearer wrong", curl)}
echo; echo PART
if {without.strip()}; then exit 9; fi
inarvl-cloud keygen revoke gate-3
cp keys/ca.pem /etc/inarvl/gpu-1/ca.pem
if {curl.strip()}; then exit 9; fi
inarvl-cloud keygen renew gate-3
cp keys/gate-3/cert.pem keys/gate-3/key.pem /etc/inarvl/tls/
{curl}
{announce} --no-zeroconf --broker mqtt://127.0.0.1:1 > announce.log 2>&1 &
announced=$!
until grep -q "cannot announce on" announce.log; do kill -0 $announced; sleep 0.1; done
kill $announced
wait $announced
"""
    ran = run(tmp_path, page["inarvl-cloud keygen"] + page["scp -r"] + broker + serve + SERVE + checks)
    log = (tmp_path / "peer.log").read_text() if (tmp_path / "peer.log").exists() else ""
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{log}"
    listed, record, wrong, revoked = ran.stdout.split("PART")
    assert '"id": "inarvl-cloud-mid"' in listed
    assert json.loads(record)["url"] == "https://gpu-1.example.net:8020"
    assert '"code": "invalid_api_key"' in wrong
    assert revoked.count('"id": "inarvl-cloud-mid"') == 1, "only with the renewed certificate"
    token = (tmp_path / "keys/gpu-1/token").read_text().strip()
    assert token not in ran.stdout + ran.stderr + log
    (warning,) = (tmp_path / "announce.log").read_text().splitlines()
    assert "nothing listens at this address" in warning, "it has found the peer, and looks for the broker"
