"""A real MQTT broker on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inarvl.errors import InarvlError

SBIN = ("/usr/sbin", "/usr/local/sbin")  # where Debian installs mosquitto, outside a user's PATH
FIRST_PORT, LAST_PORT = 20_000, 32_767  # Linux takes source ports from 32768 upwards by default
START_S = 60.0
STOP_S = 10.0
POLL_S = 0.05
DURABLE = "persistence true\nautosave_on_changes true\nautosave_interval 1\n"
DYNAMIC_SECURITY = next(
    (str(path) for path in Path("/usr/lib").glob("*-linux-gnu/mosquitto_dynamic_security.so")), None
)


class BrokerFailed(InarvlError):
    """The broker did not start."""

    code = "broker_failed"


def free_port() -> int:
    """Returns a TCP port that is free on loopback.

    The port is below the range of source ports. An outgoing connection of another process can therefore not
    take it before the server binds it, and a client that polls it cannot connect to itself.

    Raises:
        BrokerFailed: No free port was found.
    """
    for _ in range(1000):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT + 1)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise BrokerFailed(f"no free TCP port from {FIRST_PORT} to {LAST_PORT}: stop other servers")


def find_mosquitto() -> str | None:
    """Returns the path of the mosquitto program, or None if it is not installed."""
    return shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


class Mosquitto:
    """A mosquitto process that can be killed and started again.

    Args:
        folder: For its configuration, its log and, if `durable`, its database.
        durable: Writes every change to the disk immediately, so that a killed broker loses nothing.
        extra: Further lines of its configuration, such as for TLS or permissions.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        address: str = "127.0.0.1",
        durable: bool = False,
        extra: str = "",
    ) -> None:
        self.address = address
        self.port = port
        self._folder = folder
        self._durable = durable
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "start the broker first"
        return self._process.pid

    def start(self) -> None:
        """Starts the broker and returns when it accepts connections.

        Raises:
            BrokerFailed: mosquitto is not installed, or does not accept connections within START_S.
        """
        program = find_mosquitto()
        if program is None:
            raise BrokerFailed("mosquitto is not installed: apt-get install mosquitto")
        self._folder.mkdir(exist_ok=True)
        config, log = self._folder / "mosquitto.conf", self._folder / "mosquitto.log"
        config.write_text(
            f"listener {self.port} {self.address}\nallow_anonymous true\n"
            "set_tcp_nodelay true\nmax_queued_messages 0\nuser root\n"
            + self._extra
            + (f"persistence_location {self._folder}/\n{DURABLE}" if self._durable else "")
        )
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [program, "-c", str(config)], stdout=output, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(POLL_S)
        raise BrokerFailed(f"mosquitto did not start: {log.read_text(errors='replace')[-500:]}")

    def stop(self) -> None:
        """Stops the broker with SIGTERM, and with SIGKILL after STOP_S."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Kills the broker, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def denying(folder: Path, *, readable: Sequence[str]) -> str:
    """Returns configuration lines with which a broker refuses subscriptions.

    Args:
        folder: For the configuration of mosquitto's plugin for dynamic security.
        readable: The topics that may be subscribed to.
    """
    rules = [
        {"acltype": "subscribePattern", "topic": topic, "priority": 0, "allow": True} for topic in readable
    ]
    allowed = dict.fromkeys(("publishClientSend", "publishClientReceive", "unsubscribe"), True)
    roles = {
        "defaultACLAccess": {**allowed, "subscribe": False},
        "roles": [{"rolename": "reader", "acls": rules}],
        "groups": [{"groupname": "anonymous", "roles": [{"rolename": "reader"}], "clients": []}],
        "anonymousGroup": "anonymous",
        "clients": [],
    }
    file = folder / "dynamic-security.json"
    file.write_text(json.dumps(roles))
    return f"plugin {DYNAMIC_SECURITY}\nplugin_opt_config_file {file}\n"


@contextmanager
def broker(folder: Path, port: int | None = None) -> Iterator[tuple[str, int]]:
    """Runs a broker on loopback: mosquitto if it is installed, otherwise the broker in the iotcore wheel.

    Args:
        folder: For its configuration and its log.
        port: Its port, by default a free one.

    Yields:
        The broker's name and port.

    Raises:
        BrokerFailed: The broker did not start.
    """
    port = port or free_port()
    if find_mosquitto() is None:
        with _iotcore(folder, port):
            yield "iotcore", port
        return
    mosquitto = Mosquitto(folder, port)
    try:
        mosquitto.start()
        yield "mosquitto", port
    finally:
        mosquitto.stop()


@contextmanager
def _iotcore(folder: Path, port: int) -> Iterator[None]:
    try:
        from iotcore import Broker
    except ImportError:
        raise BrokerFailed("no MQTT broker: apt-get install mosquitto, or pip install iotcore") from None
    config = folder / "iotcore.toml"
    config.write_text(_IOTCORE.format(port=port))
    try:
        with Broker(config_path=str(config)):
            yield
    except (RuntimeError, OSError) as error:
        raise BrokerFailed(f"iotcore did not start: {error}") from error


_IOTCORE = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "loopback"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 16777216
max_inflight_count = 100
dynamic_filters = true
"""
