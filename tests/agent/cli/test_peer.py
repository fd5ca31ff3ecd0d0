"""`inarvl peer` shows a person what a peer is, and pins what was shown; broker and TLS are real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from certificates import Certificates, ServerCertificate
from directory_rig import lan_address
from typer.testing import CliRunner, Result

from agent.cli.main import app as inarvl
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import MqttOptions
from agent.peers.pins import PinFile
from cloud.peer import TOPIC
from lab.rig.hostile.recorder import Recorder


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as running:
        yield running


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return Certificates(tmp_path).server(lan_address())


def site(folder: Path, port: int, trust: str = "none", more: str = "") -> Path:
    file = folder / "agent.yaml"
    file.write_text(
        f"device: d\nlocal: null\nstate_dir: {folder}\nbroker: {{url: 'mqtt://127.0.0.1:{port}'}}\n"
        f"discovery: {{zeroconf: false, trust: {trust}}}\n{more}"
    )
    return file


def retain(port: int, peer_id: str, url: str) -> None:
    async def publish() -> None:
        async with MqttConnection(MqttOptions("127.0.0.1", port, "announcer")) as connection:
            payload = json.dumps({"id": peer_id, "url": url}).encode()
            await connection.publish(f"{TOPIC}/{peer_id}", payload, qos=1, retain=True)

    anyio.run(publish)


def run(command: str, config: Path, *options: str, answer: str = "y\n") -> Result:
    words = ["peer", *command.split(), "--config", str(config), *options]
    return CliRunner().invoke(inarvl, words, input=answer, env={"COLUMNS": "300"})


def test_a_peer_is_shown_and_pinned_only_if_the_person_agrees(
    broker: Any, tmp_path: Path, portal: BlockingPortal, certificate: ServerCertificate
) -> None:
    host, config, pins = lan_address(), site(tmp_path, broker.port), PinFile(tmp_path)
    server = Recorder(certificate.context)
    with portal.wrap_async_context_manager(server.running(host)):
        url = f"https://{host}:{server.port}"
        retain(broker.port, "gpu", url)
        refused = run("trust gpu", config, "--seconds", "1", answer="n\n")
        assert (refused.exit_code, pins.load()) == (1, ())
        agreed = run("trust gpu", config, "--seconds", "1")
    assert agreed.exit_code == 0, agreed.output
    for shown in (url, certificate.fingerprint, host, "valid:", "signed by:"):
        assert shown in agreed.output
    (pin,) = pins.load()
    assert (pin.id, pin.url, pin.fingerprint) == ("gpu", url, certificate.fingerprint)
    assert pins.path.stat().st_mode & 0o777 == 0o600
    assert server.received == b"", "it was only looked at"
    assert "gpu" in run("list", config).output
    assert run("distrust gpu", config).exit_code == 0
    assert pins.load() == ()
    assert run("distrust gpu", config).exit_code == 1


def test_a_fingerprint_replaces_the_question_and_must_be_the_right_one(
    broker: Any, tmp_path: Path, portal: BlockingPortal, certificate: ServerCertificate
) -> None:
    host, config = lan_address(), site(tmp_path, broker.port)
    server = Recorder(certificate.context)
    with portal.wrap_async_context_manager(server.running(host)):
        retain(broker.port, "gpu", f"https://{host}:{server.port}")
        wrong = run("trust gpu", config, "--seconds", "1", "--fingerprint", "0" * 64, answer="")
        assert wrong.exit_code == 1
        assert "does not have the certificate" in wrong.output
        assert PinFile(tmp_path).load() == ()
        right = certificate.fingerprint.upper()
        assert run("trust gpu", config, "--seconds", "1", "--fingerprint", right, answer="").exit_code == 0
    assert len(PinFile(tmp_path).load()) == 1


def test_a_peer_without_tls_is_pinned_only_if_the_site_file_allows_it(broker: Any, tmp_path: Path) -> None:
    url = f"http://{lan_address()}:8020"
    retain(broker.port, "gpu", url)
    refused = run("trust gpu", site(tmp_path, broker.port), "--seconds", "1")
    assert refused.exit_code == 1
    assert "allow_plaintext: true" in refused.output
    allowed = site(tmp_path, broker.port, "{allow_plaintext: true}")
    agreed = run("trust gpu", allowed, "--seconds", "1")
    assert agreed.exit_code == 0
    assert "Whoever is on the network between can read the images" in agreed.output
    assert [(pin.url, pin.fingerprint) for pin in PinFile(tmp_path).load()] == [(url, None)]


@pytest.mark.parametrize(
    ("peer_id", "url", "reason"),
    [
        ("gpu", "http://127.0.0.1:22", "loopback"),
        ("gpu", "https://169.254.169.254:80", "none announced itself"),
        ("named", "https://10.0.0.1:1", "the site file names named already"),
        ("absent", None, "none announced itself"),
    ],
)
def test_what_cannot_be_trusted_is_explained_and_not_connected_to(
    broker: Any, tmp_path: Path, peer_id: str, url: str | None, reason: str
) -> None:
    if url is not None:
        retain(broker.port, peer_id, url)
    config = site(tmp_path, broker.port, more="peers: [{id: named, url: 'https://10.0.0.2:1'}]\n")
    ran = run(f"trust {peer_id}", config, "--seconds", "0.5")
    assert ran.exit_code == 1
    assert reason in ran.output
    assert PinFile(tmp_path).load() == ()
