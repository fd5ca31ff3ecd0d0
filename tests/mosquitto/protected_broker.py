"""The real mosquitto with the files of docs/mosquitto/, installed by the commands of docs/mqtt-access.md."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_message import Message
from agent.messages.mqtt_options import MqttOptions
from agent.standalone.broker import free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mqtt-access.md"
# The commands run in a mount namespace with an empty /etc/mosquitto, and restart no service of this machine.
PRELUDE = """set -eu
mount -t tmpfs none /etc/mosquitto
mkdir /etc/mosquitto/conf.d
sudo() { if [ "$1" != systemctl ]; then "$@"; fi; }
"""
# The tests need a user that publishes and receives everything.
START = """
printf '\nuser tester\ntopic readwrite #\n' >> /etc/mosquitto/inarvl.acl
mosquitto_passwd -b /etc/mosquitto/inarvl.passwd tester tester
cat > main.conf <<END
listener {port} 127.0.0.1
include_dir /etc/mosquitto/conf.d
END
exec {mosquitto} -c main.conf
"""


@dataclass(frozen=True)
class ProtectedBroker:
    """The port of a broker, and the password of each user."""

    port: int
    passwords: dict[str, str]


@contextmanager
def protected_broker(folder: Path, mosquitto: str) -> Iterator[ProtectedBroker]:
    """Installs the files and runs mosquitto with them."""
    Path("/etc/mosquitto").mkdir(exist_ok=True)
    port = free_port()
    folder.chmod(0o755)
    (folder / "docs").symlink_to(ROOT / "docs")
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = PRELUDE + commands + START.format(port=port, mosquitto=mosquitto)
    process = subprocess.Popen(["unshare", "--mount", "bash", "-c", script], cwd=folder)
    try:
        until = time.monotonic() + 60
        while subprocess.run(
            ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], stderr=subprocess.DEVNULL, check=False
        ).returncode:
            assert process.poll() is None, "mosquitto ended"
            assert time.monotonic() < until, "mosquitto does not listen"
            time.sleep(0.05)
        lines = (folder / "passwords.txt").read_text().splitlines()
        yield ProtectedBroker(port, {"tester": "tester", **dict(line.split(":") for line in lines)})
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def connected(
    broker: ProtectedBroker, user: str, *subscriptions: str, protocol: str = "5", client: str = ""
) -> AsyncIterator[MqttConnection]:
    options = MqttOptions(
        "127.0.0.1",
        broker.port,
        client_id=f"test-{user}{client}",
        username=user,
        password=broker.passwords[user],
        keeps_session=False,
        protocol=protocol,  # type: ignore[arg-type]
    )
    async with MqttConnection(options, subscriptions=subscriptions) as connection:
        with anyio.fail_after(60):
            await connection.connected.wait()
        yield connection


async def next_message(connection: MqttConnection) -> Message:
    with anyio.fail_after(60):
        async for message in connection.messages():
            message.ack()
            return message
    raise AssertionError("unreachable")
