"""A peer is announced over a broker with TLS, and with the URL and the warnings that its own TLS needs."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.standalone.broker import Mosquitto, find_mosquitto, free_port
from cloud.announcement import Announcement, warn_of_other_name
from cloud.certificate_authority import CertificateAuthority
from cloud.cli import app
from cloud.peer import PeerRecord
from inarvl.tls_files import BadTlsFile

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
]
NOW = datetime.now(timezone.utc).replace(microsecond=0)
TIMEOUT_S = 60
RECORD = PeerRecord("gpu-1", "https://gpu-1.example.net:8020", ("m",))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with ca.pem, and the keys of a broker and of a peer that is its client."""
    authority = CertificateAuthority.create(tmp_path, "test", NOW)
    for name, hosts in (("broker", ["127.0.0.1"]), ("peer", [])):
        issued = authority.issue(name, hosts, NOW, 30)
        (tmp_path / f"{name}.pem").write_bytes(issued.certificate)
        (tmp_path / f"{name}.key").write_bytes(issued.key)
    return tmp_path


@pytest.fixture
def port(keys: Path) -> Iterator[int]:
    """A broker that requires certificates."""
    extra = f"cafile {keys}/ca.pem\ncertfile {keys}/broker.pem\nkeyfile {keys}/broker.key\n"
    broker = Mosquitto(keys / "broker", free_port(), extra=f"{extra}require_certificate true\n")
    broker.start()
    yield broker.port
    broker.kill()


def announcement(keys: Path, port: int, **changed: Any) -> Announcement:
    files = {
        "broker_ca_file": "ca.pem",
        "broker_cert_file": "peer.pem",
        "broker_key_file": "peer.key",
        **changed,
    }
    paths = {name: keys / file for name, file in files.items() if file is not None}
    return Announcement(zeroconf=False, broker=f"mqtts://127.0.0.1:{port}", **paths)


@asynccontextmanager
async def records(keys: Path, port: int) -> AsyncIterator[MqttConnection]:
    files = {"ca_file": keys / "ca.pem", "cert_file": keys / "peer.pem", "key_file": keys / "peer.key"}
    options = MqttOptions("127.0.0.1", port, "reader", tls=True, **files)
    async with MqttConnection(options, subscriptions=("inarvl/peers/+",)) as connection:
        yield connection


async def test_a_broker_that_requires_certificates_gets_the_record(
    keys: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with announcement(keys, port).of(RECORD), records(keys, port) as reader:
            message = await anext(aiter(reader.messages()))
    assert json.loads(message.payload)["url"] == RECORD.url
    assert "without TLS" not in caplog.text


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"broker_ca_file": None}, "signed by a CA that is not known here"),
        ({"broker_cert_file": None, "broker_key_file": None}, "requires a c"),
    ],
)
async def test_a_broker_that_is_not_known_or_refuses_the_peer_is_named(
    keys: Path, port: int, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], problem: str
) -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with announcement(keys, port, **changed).of(RECORD):
            while "cannot announce" not in caplog.text:  # noqa: ASYNC110 # written by a thread
                await anyio.sleep(0.01)
    assert problem in caplog.text


async def test_files_for_the_broker_that_do_not_fit_are_refused(keys: Path) -> None:
    with pytest.raises(BadTlsFile, match="is not the key of"):
        async with announcement(keys, 1, broker_key_file="broker.key").of(RECORD):
            raise AssertionError
    ran = CliRunner().invoke(
        app, ["serve", "--model", "bundled:inarvl-cloud-mid", "--listen", f"unix:{keys}/s", "--no-zeroconf"]
    )
    assert ran.exit_code == 1
    assert "devices cannot reach a unix socket" in ran.stderr


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("http://10.0.0.7:8020", "is announced without TLS"),
        ("http://gpu-1.example.net:8020", "is announced without TLS"),
        ("http://127.0.0.1:8020", "only this machine reaches it"),
        ("https://[::1]:8020", "only this machine reaches it"),
        ("https://10.0.0.7:8020", None),
    ],
)
async def test_an_announcement_that_devices_cannot_use_is_warned_of(
    caplog: pytest.LogCaptureFixture, url: str, warning: str | None
) -> None:
    async with Announcement(zeroconf=False).of(PeerRecord("gpu-1", url, ("m",))):
        pass
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (warning is not None)
    assert all(warning in line for line in warnings if warning is not None)


async def test_a_certificate_for_another_name_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_other_name(RECORD, ("gpu-1.example.net", "10.0.0.7"))
    assert caplog.text == ""
    warn_of_other_name(PeerRecord("gpu-1", "https://10.0.0.8:8020", ("m",)), ("gpu-1.example.net", "fd00::7"))
    assert "the certificate is for gpu-1.example.net, fd00::7" in caplog.text
