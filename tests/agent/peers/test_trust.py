"""A discovered peer is sent nothing until it is trusted: by a CA, a fingerprint, or a person.

The servers are real, at an address of this machine that a peer may announce.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from certificates import Certificates
from directory_rig import lan_address, running, settings

from agent.peers import directory
from agent.peers.pins import Pin, PinFile
from lab.rig.hostile.recorder import Recorder

pytestmark = pytest.mark.anyio


@pytest.fixture
def site(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "PINS_S", 0.05)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_stranger_is_listed_and_sent_nothing_by_default(site: Certificates, tls: bool) -> None:
    host = lan_address()
    certificate = site.server(host)
    async with (
        Recorder(certificate.context if tls else None, name="zzz-model").running(host) as rogue,
        running(settings(site.folder)) as found,
    ):
        found.retain("rogue", f"http{'s' * tls}://{host}:{rogue.port}")
        await anyio.sleep(1.0)  # twice the time until a peer would be checked
        report = found.reported("rogue")
        assert (report["trust"], report["healthy"], report["models"]) == ("untrusted", False, [])
        assert "inarvl peer trust rogue" in report["trust_reason"]
        assert await found.ask("rogue") is None
    assert found.events == [("rogue", "untrusted")]
    assert (rogue.connections, rogue.received) == (0, b"")


async def test_a_peer_with_a_certificate_of_the_ca_is_trusted_and_others_are_sent_no_byte(
    site: Certificates,
) -> None:
    host = lan_address()
    good = Recorder(site.server(host).context)
    strangers = {
        "other-ca": Recorder(site.server(host, by=site.other_ca).context),
        "other-host": Recorder(site.server("gpu.example").context),
        "expired": Recorder(site.server(host, expired=True).context),
        "plain": Recorder(),
    }
    async with anyio.create_task_group() as tasks, good.running(host):
        for stranger in strangers.values():
            await tasks.start(_serve, stranger, host)
        async with running(settings(site.folder, {"ca_file": str(site.ca_file)})) as found:
            found.retain("good", f"https://{host}:{good.port}")
            for name, stranger in strangers.items():
                found.retain(name, f"http{'s' * (name != 'plain')}://{host}:{stranger.port}")
            await found.healthy("good")
            for name in strangers:
                if name != "plain":
                    await found.checked(name)
            assert await found.ask("good") == "yes"
            trusted = {server["id"]: server["trust"] for server in found.servers.report()}
            reasons = {server["id"]: server["trust_reason"] for server in found.servers.report()}
        tasks.cancel_scope.cancel()
    assert trusted == {"good": "trusted", **dict.fromkeys(strangers, "untrusted")}
    assert "signed by the CA in discovery.trust" in reasons["good"]
    assert "CA that is not known" in reasons["other-ca"]
    assert "another name" in reasons["other-host"]
    assert "expired" in reasons["expired"]
    assert "does not use TLS" in reasons["plain"]
    assert good.images == 1
    for name, stranger in strangers.items():
        assert stranger.received == b"", name
    assert {("good", "healthy"), ("other-ca", "untrusted"), ("plain", "untrusted")} <= set(found.events)


async def _serve(server: Recorder, host: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with server.running(host):
        task_status.started()
        await anyio.sleep_forever()


async def test_a_peer_may_have_a_fingerprint_instead_of_a_certificate_of_the_ca(site: Certificates) -> None:
    host = lan_address()
    own, by_ca = site.server("elsewhere", by=site.other_ca), site.server(host)
    trust = {"ca_file": str(site.ca_file), "fingerprints": ["0" * 64, own.fingerprint.upper()]}
    async with (
        Recorder(own.context).running(host) as one,
        Recorder(by_ca.context).running(host) as other,
        running(settings(site.folder, trust)) as found,
    ):
        found.retain("one", f"https://{host}:{one.port}")
        found.retain("other", f"https://{host}:{other.port}")
        for name in ("one", "other"):
            await found.healthy(name)
        assert "fingerprint in discovery.trust" in found.reported("one")["trust_reason"]
        assert "signed by the CA" in found.reported("other")["trust_reason"]


async def test_discovered_peers_see_the_devices_certificate(site: Certificates) -> None:
    host = lan_address()
    certificate = site.server(host, wants_client=True)
    device = {name: str(path) for name, path in site.device().items()}
    async with Recorder(certificate.context).running(host) as server:
        async with running(settings(site.folder, {"ca_file": str(site.ca_file), **device})) as found:
            found.retain("p", f"https://{host}:{server.port}")
            await found.healthy("p")
        async with running(settings(site.folder, {"ca_file": str(site.ca_file)})) as found:
            found.retain("p", f"https://{host}:{server.port}")
            await found.checked("p")
            assert "client certificate" in str(found.peer("p").problem)


async def test_a_pin_is_used_by_the_running_agent_and_a_changed_certificate_is_sent_no_byte(
    site: Certificates,
) -> None:
    host = lan_address()
    first, second = site.server(host), site.server(host)
    pins = PinFile(site.folder)
    async with running(settings(site.folder)) as found:
        async with Recorder(first.context).running(host) as server:
            port = server.port
            found.retain("p", f"https://{host}:{port}")
            assert server.connections == 0
            pins.add(Pin("p", f"https://{host}:{port}", first.fingerprint, "CN=p"))
            await found.healthy("p")
            assert await found.ask("p") == "yes"
            assert "has pinned its certificate" in found.reported("p")["trust_reason"]
        found.events.clear()
        await found.until(lambda: not found.servers.registry("cloud").healthy())
        async with Recorder(second.context).running(host, port) as impostor:
            await found.until(lambda: ("p", "untrusted") in found.events)
            assert second.fingerprint in found.reported("p")["trust_reason"]
            assert found.servers.problem("p") == found.reported("p")["trust_reason"]
            assert await found.ask("p") is None
            assert impostor.received == b""
            pins.add(Pin("p", f"https://{host}:{port}", second.fingerprint, "CN=p"))
            await found.healthy("p")
            assert impostor.received
            assert pins.remove("p")
            await found.until(lambda: found.reported("p")["trust"] == "untrusted")
            assert not found.servers.registry("cloud").healthy()
    assert pins.path.stat().st_mode & 0o777 == 0o600


async def test_a_pinned_peer_may_move_and_may_not_lose_its_tls(site: Certificates) -> None:
    host = lan_address()
    certificate = site.server(host)
    PinFile(site.folder).add(Pin("p", f"https://{host}:1", certificate.fingerprint))
    async with (
        Recorder(certificate.context).running(host) as server,
        Recorder().running(host) as plain,
        running(settings(site.folder)) as found,
    ):
        found.retain("p", f"http://{host}:{plain.port}")
        assert "without TLS now" in found.reported("p")["trust_reason"]
        found.retain("p", f"https://{host}:{server.port}")
        await found.healthy("p")
        assert await found.ask("p") == "yes"
    assert plain.connections == 0


async def test_a_plain_peer_is_pinned_at_its_exact_url_and_only_if_that_is_allowed(
    site: Certificates,
) -> None:
    host = lan_address()
    async with Recorder().running(host) as server, Recorder().running(host) as moved:
        PinFile(site.folder).add(Pin("p", f"http://{host}:{server.port}", None))
        async with running(settings(site.folder)) as found:
            found.retain("p", f"http://{host}:{server.port}")
            await anyio.sleep(0.5)
            assert found.reported("p")["trust"] == "untrusted"
        assert server.connections == 0
        async with running(settings(site.folder, {"allow_plaintext": True})) as found:
            found.retain("p", f"http://{host}:{server.port}")
            await found.healthy("p")
            found.retain("other", f"http://{host}:{moved.port}")
            found.clear("p")
            found.retain("p", f"http://{host}:{moved.port}")
            await anyio.sleep(0.5)
            assert {found.reported(name)["trust"] for name in ("p", "other")} == {"untrusted"}
            assert "at another URL now" in found.reported("p")["trust_reason"]
    assert moved.connections == 0


async def test_trust_changes_when_the_site_file_is_read_again(site: Certificates) -> None:
    host = lan_address()
    async with (
        Recorder(site.server(host).context).running(host) as server,
        running(settings(site.folder)) as found,
    ):
        found.retain("p", f"https://{host}:{server.port}")
        await anyio.sleep(0.3)
        assert server.connections == 0
        site.other_ca.cert_pem.write_to_path(site.folder / "trusted.pem")
        trust = {"ca_file": str(site.folder / "trusted.pem")}
        found.servers.apply(settings(site.folder, trust))
        await found.checked("p")
        site.ca.cert_pem.write_to_path(site.folder / "trusted.pem")  # another content, the same name
        found.servers.apply(settings(site.folder, trust))
        await found.healthy("p")
        found.servers.apply(settings(site.folder))
        assert found.reported("p")["trust"] == "untrusted"
        assert await found.ask("p") is None


async def test_with_any_every_peer_is_used(site: Certificates) -> None:
    async with Recorder().running() as server, running(settings(site.folder, "any")) as found:
        found.retain("p", f"http://127.0.0.1:{server.port}")
        await found.healthy("p")
        assert found.reported("p")["trust_reason"] == "discovery.trust is any"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"[" * 5000, b'{"version": 1, "pins": [{"id": "p"}]}']
)
async def test_no_pin_of_a_damaged_file_holds_and_the_agent_runs_on(
    site: Certificates, content: bytes
) -> None:
    pins = PinFile(site.folder)
    pins.add(Pin("p", "https://10.0.0.1:1", "0" * 64))
    async with running(settings(site.folder)) as found:
        found.retain("p", "https://10.0.0.1:1")
        assert found.peer("p").verdict.ways
        pins.path.write_bytes(content)
        await found.until(lambda: not found.peer("p").verdict.ways)
        assert found.reported("p")["trust"] == "untrusted"


def test_the_file_of_pins_belongs_to_the_owner_of_the_state_directory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(tmp_path, 12345, 12346)
    pins = PinFile(tmp_path)
    pins.add(Pin("p", "https://a:1", "0" * 64))
    status = pins.path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12346, 0o600)
    assert list(tmp_path.iterdir()) == [pins.path]
