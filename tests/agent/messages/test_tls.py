"""Each way in which TLS to a real broker fails is named in one line, with what to do."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.messages.tls import tls_context
from agent.standalone.broker import Mosquitto, find_mosquitto, free_port
from inarvl.tls_files import BadTlsFile

trustme = pytest.importorskip("trustme")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
]
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
FUTURE = datetime.datetime(2090, 1, 1, tzinfo=datetime.timezone.utc)
TIMEOUT_S = 60


@dataclass
class Site:
    """A certificate authority, and the files that it has issued.

    Attributes:
        ca: of the broker's certificate.
        other: a CA that the broker does not know, and that did not sign its certificate.
    """

    folder: Path
    ca: Any
    other: Any

    def write(self, name: str, blob: Any) -> Path:
        path = self.folder / name
        blob.write_to_path(path)
        return path

    @property
    def ca_file(self) -> Path:
        return self.write("ca.pem", self.ca.cert_pem)

    def pair(self, name: str, ca: Any = None, **options: Any) -> dict[str, Path]:
        """Issues a certificate for `name`; returns its files."""
        issued = (ca or self.ca).issue_cert(name, **options)
        key = self.write(f"{name}.key", issued.private_key_pem)
        return {"cert_file": self.write(f"{name}.pem", issued.cert_chain_pems[0]), "key_file": key}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, trustme.CA(), trustme.CA(organization_name="other"))


@pytest.fixture
def tls_broker(site: Site) -> Iterator[Callable[..., int]]:
    """Returns a function that starts a broker with TLS and returns its port."""
    started: list[Mosquitto] = []

    def start(server: dict[str, Path], *, wants_certificate: bool = False) -> int:
        extra = f"cafile {site.ca_file}\ncertfile {server['cert_file']}\nkeyfile {server['key_file']}\n"
        extra += f"require_certificate {str(wants_certificate).lower()}\n"
        broker = Mosquitto(site.folder / "broker", free_port(), extra=extra)
        started.append(broker)
        broker.start()
        return broker.port

    yield start
    for broker in started:
        broker.kill()


async def problem(port: int, caplog: pytest.LogCaptureFixture, **options: Any) -> str:
    """Connects, and returns what the log says."""
    async with MqttConnection(MqttOptions("127.0.0.1", port, "c", **options)) as connection:
        with anyio.fail_after(TIMEOUT_S):
            await connection.tried.wait()
        assert connection.problem is not None
        assert not connection.connected.is_set()
    warnings = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert warnings == [connection.problem]
    assert "\n" not in connection.problem
    return connection.problem


async def test_a_known_ca_and_the_right_name_connect(site: Site, tls_broker: Callable[..., int]) -> None:
    port = tls_broker(site.pair("127.0.0.1"), wants_certificate=True)
    files = {"ca_file": site.ca_file, **site.pair("board")}
    async with MqttConnection(MqttOptions("127.0.0.1", port, "c", tls=True, **files)) as connection:
        with anyio.fail_after(TIMEOUT_S):
            await connection.publish("t", b"x", qos=1)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("other.test", {}, "its certificate is for another name"),
        ("127.0.0.1", {"not_before": PAST, "not_after": PAST.replace(year=2021)}, "has expired"),
        ("127.0.0.1", {"not_before": FUTURE, "not_after": FUTURE.replace(year=2091)}, "is not valid yet"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_named(
    site: Site,
    tls_broker: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, Any],
    expected: str,
) -> None:
    port = tls_broker(site.pair(name, **options))
    assert expected in await problem(port, caplog, tls=True, ca_file=site.ca_file)


@pytest.mark.parametrize("system", [True, False])
async def test_an_unknown_ca_is_named(
    site: Site, tls_broker: Callable[..., int], caplog: pytest.LogCaptureFixture, system: bool
) -> None:
    port = tls_broker(site.pair("127.0.0.1"))
    ca_file = None if system else site.write("other.pem", site.other.cert_pem)
    assert "signed by a CA that is not known here" in await problem(port, caplog, tls=True, ca_file=ca_file)


async def test_a_broker_that_requires_a_client_certificate_is_named(
    site: Site, tls_broker: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    port = tls_broker(site.pair("127.0.0.1"), wants_certificate=True)
    found = await problem(port, caplog, tls=True, ca_file=site.ca_file)
    assert "requires a client certificate: set cert_file and key_file" in found


async def test_a_client_certificate_of_another_ca_is_named(
    site: Site, tls_broker: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    port = tls_broker(site.pair("127.0.0.1"), wants_certificate=True)
    files = {"ca_file": site.ca_file, **site.pair("board", site.other)}
    assert "rejects the client certificate" in await problem(port, caplog, tls=True, **files)


async def test_plain_mqtt_on_a_tls_port_is_named(
    site: Site, tls_broker: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    port = tls_broker(site.pair("127.0.0.1"))
    assert "write mqtts:// in its URL" in await problem(port, caplog)


async def test_tls_on_a_plain_port_is_named(broker: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert "whether it expects TLS" in await problem(broker.port, caplog, tls=True)


async def test_a_port_without_a_broker_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    assert "nothing listens at this address" in await problem(free_port(), caplog)


def lock(key: Path) -> None:
    """Encrypts a key with a password."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))


def spoil(site: Site, files: dict[str, Path], how: str) -> None:
    """Makes one of the files unusable."""
    if how == "missing":
        files["key_file"].unlink()
    elif how == "locked":
        lock(files["key_file"])
    elif how == "of another certificate":
        files["key_file"] = site.pair("another")["key_file"]
    elif how == "no key":
        files["key_file"].write_text("hello")
    elif how == "no CA":
        files["ca_file"].write_text("hello")
    else:
        del files["cert_file"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("missing", "board.key cannot be read (No such file or directory)"),
        ("locked", "board.key is locked by a password"),
        ("of another certificate", "another.key is not the key of"),
        ("no key", "no certificate with its key"),
        ("no CA", "ca.pem has no certificate"),
        ("without certificate", "set cert_file too"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(site: Site, how: str, expected: str) -> None:
    files = {"ca_file": site.ca_file, **site.pair("board")}
    spoil(site, files, how)
    with pytest.raises(BadTlsFile) as caught:
        tls_context(MqttOptions("127.0.0.1", tls=True, **files))  # type: ignore[arg-type]
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
