"""A real MQTT broker on loopback for as long as the demo runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inarvl.errors import InarvlError

SBIN = ("/usr/sbin", "/usr/local/sbin")  # where Debian puts mosquitto, off a user's PATH


class BrokerFailed(InarvlError):
    """The broker did not start."""

    code = "broker_failed"


def free_port() -> int:
    """A TCP port that nothing on loopback listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[tuple[str, int]]:
    """Run mosquitto where it is installed, else the broker in the iotcore wheel; give its name and port.

    Raises:
        BrokerFailed: it does not take connections within ten seconds.
    """
    port = free_port()
    mosquitto = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))
    if mosquitto is None:
        with _iotcore(folder, port):
            yield "iotcore", port
        return
    log = folder / "mosquitto.log"
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    with log.open("wb") as output:
        process = subprocess.Popen([mosquitto, "-c", str(conf)], stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_open(port, process, log)
        yield "mosquitto", port
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BrokerFailed(f"mosquitto did not start: {log.read_text(errors='replace')[-500:]}")


@contextmanager
def _iotcore(folder: Path, port: int) -> Iterator[None]:
    try:
        from iotcore import Broker
    except ImportError:
        raise BrokerFailed("no MQTT broker: install mosquitto, or pip install iotcore") from None
    conf = folder / "iotcore.toml"
    conf.write_text(_IOTCORE.format(port=port))
    try:
        with Broker(config_path=str(conf)):
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
