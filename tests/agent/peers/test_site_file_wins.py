"""No announcement changes, replaces or withdraws a peer of the site file, and its key goes nowhere else.

Everybody is trusted here, which is the worst case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from certificates import Certificates
from directory_rig import running, settings

from agent.config.settings import Settings
from cloud.peer import PeerRecord
from lab.rig.hostile.cases import http
from lab.rig.hostile.recorder import Recorder

pytestmark = pytest.mark.anyio


def site(folder: Path, server: Recorder | None, **fields: Any) -> Settings:
    """A site file that names `gpu` with a key, and trusts everybody else."""
    key = folder / "gpu.key"
    if not key.exists():
        key.write_text("first-key")
    peer = {"id": "gpu", "api_key_file": str(key), **fields}
    if server is not None:
        peer.setdefault("url", f"http://127.0.0.1:{server.port}")
    return settings(folder, "any", peers=[] if server is None else [peer])


async def test_a_rogue_that_announces_the_id_later_gets_nothing_and_the_peer_stays_when_it_leaves(
    tmp_path: Path,
) -> None:
    async with (
        Recorder().running() as real,
        Recorder(said="no").running() as rogue,
        running(site(tmp_path, real)) as found,
    ):
        await found.healthy("gpu")
        for attack in range(12):
            found.retain("gpu", f"http://127.0.0.1:{rogue.port}", models=["zzz-model"])
            found.servers.registry("cloud").offer(
                PeerRecord("gpu", f"http://127.0.0.1:{rogue.port}"),
                source="zeroconf",
                sole=False,
            )
            assert await found.ask("gpu") == "yes", attack
        found.clear("gpu")
        found.servers.registry("cloud").withdraw("gpu", source="zeroconf")
        assert await found.ask("gpu") == "yes"
        assert len(found.servers.registry("cloud").known()) == 1
    assert (real.questions, real.images) == (13, 13)
    assert real.keys >= 13
    assert (rogue.connections, rogue.received) == (0, b"")
    assert ("gpu", "gone") not in found.events


async def test_a_rogue_that_held_the_id_before_it_was_configured_is_replaced(tmp_path: Path) -> None:
    async with (
        Recorder().running() as real,
        Recorder(said="no").running() as rogue,
        running(site(tmp_path, None)) as found,
    ):
        found.retain("gpu", f"http://127.0.0.1:{rogue.port}")
        await found.healthy("gpu")
        before = rogue.received
        found.servers.apply(site(tmp_path, real))
        await found.until(lambda: found.peer("gpu").healthy)
        found.retain("gpu", f"http://127.0.0.1:{rogue.port}")
        assert [await found.ask("gpu") for _ in range(12)] == ["yes"] * 12
        found.clear("gpu")
        assert await found.ask("gpu") == "yes"
    assert rogue.keys == rogue.questions == 0
    assert rogue.received == before


async def test_an_announcement_of_the_real_peer_and_its_withdrawal_change_nothing(tmp_path: Path) -> None:
    async with Recorder().running() as real, running(site(tmp_path, real)) as found:
        await found.healthy("gpu")
        peer = found.peer("gpu")
        found.retain("gpu", f"http://127.0.0.1:{real.port}", models=["other"])
        found.clear("gpu")
        assert found.peer("gpu") is peer
        assert await found.ask("gpu") == "yes"


async def test_a_peer_that_is_not_in_the_site_file_any_more_loses_its_key(tmp_path: Path) -> None:
    async with Recorder().running() as real, running(site(tmp_path, real)) as found:
        await found.healthy("gpu")
        found.retain("gpu", f"http://127.0.0.1:{real.port}")
        found.servers.apply(site(tmp_path, None))
        keys = real.keys
        await found.healthy("gpu")
        assert await found.ask("gpu") == "yes"
        assert real.keys == keys
        found.servers.apply(site(tmp_path, real))
        await found.healthy("gpu")
        assert await found.ask("gpu") == "yes"
        assert real.keys > keys


@pytest.mark.parametrize("same_file", [True, False])
async def test_a_new_key_is_used_from_the_reload_on_also_if_only_the_files_content_changed(
    tmp_path: Path, same_file: bool
) -> None:
    async with Recorder().running() as real, running(site(tmp_path, real)) as found:
        await found.healthy("gpu")
        changed = tmp_path / ("gpu.key" if same_file else "new.key")
        changed.write_text("second-key")
        assert await found.ask("gpu") == "yes"
        assert b"second-key" not in real.received
        real.received = b""
        found.servers.apply(site(tmp_path, real, api_key_file=str(changed)))
        await found.healthy("gpu")
        assert await found.ask("gpu") == "yes"
    assert b"Bearer second-key" in real.received
    assert b"first-key" not in real.received


async def test_a_key_goes_to_the_new_url_of_the_site_file_only(tmp_path: Path) -> None:
    async with (
        Recorder().running() as old,
        Recorder().running() as new,
        running(site(tmp_path, old)) as found,
    ):
        await found.healthy("gpu")
        found.retain("gpu", f"http://127.0.0.1:{old.port}")
        (tmp_path / "gpu.key").write_text("second-key")
        found.servers.apply(site(tmp_path, new))
        await found.healthy("gpu")
        assert await found.ask("gpu") == "yes"
    assert b"second-key" in new.received
    assert b"second-key" not in old.received


async def test_a_replaced_certificate_of_the_device_is_used_after_a_reload(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server_certificate = certificates.server("127.0.0.1", wants_client=True)
    files = {name: str(path) for name, path in certificates.device().items()}
    certificates.ca, right = certificates.other_ca, certificates.ca
    certificates.device()  # signed by a CA that the server does not know
    certificates.ca = right
    async with Recorder(server_certificate.context).running() as real:
        tls = {"url": f"https://127.0.0.1:{real.port}", "ca_file": str(certificates.ca_file), **files}
        async with running(site(tmp_path, real, **tls)) as found:
            await found.checked("gpu")
            certificates.device()
            found.servers.apply(site(tmp_path, real, **tls))
            await found.healthy("gpu")


async def test_a_peer_of_the_site_file_must_prove_itself_too(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    other = certificates.server("127.0.0.1", by=certificates.other_ca)
    async with Recorder(other.context).running() as rogue:
        tls = {"url": f"https://127.0.0.1:{rogue.port}", "ca_file": str(certificates.ca_file)}
        async with running(site(tmp_path, rogue, **tls)) as found:
            await found.checked("gpu")
            assert found.reported("gpu")["trust"] == "untrusted"
            assert "CA that is not known" in found.reported("gpu")["trust_reason"]
    assert rogue.received == b""
    assert ("gpu", "untrusted") in found.events


async def test_a_peer_that_redirects_is_not_followed(tmp_path: Path) -> None:
    async with Recorder().running() as goal, Recorder().running() as real:
        real.reply = http(b"", 307, (f"Location: http://127.0.0.1:{goal.port}/v1/models",))
        async with running(site(tmp_path, real)) as found:
            await found.checked("gpu")
            real.reply = b""
            await found.healthy("gpu")
            real.reply = http(b"", 308, (f"Location: http://127.0.0.1:{goal.port}/v1/chat/completions",))
            assert await found.ask("gpu") is None
    assert real.keys
    assert (goal.connections, goal.received) == (0, b"")


async def test_a_record_with_another_url_does_not_replace_a_healthy_discovered_peer(tmp_path: Path) -> None:
    """Whoever may write to the broker may overwrite a record; the peer is used while it answers."""
    async with Recorder(said="no").running() as rogue, running(settings(tmp_path, "any")) as found:
        async with Recorder().running() as real:
            found.retain("p", f"http://127.0.0.1:{real.port}")
            await found.healthy("p")
            found.retain("p", f"http://127.0.0.1:{rogue.port}")
            await anyio.sleep(0.5)
            assert [await found.ask("p") for _ in range(5)] == ["yes"] * 5
        await found.until(lambda: found.peer("p").record.url == f"http://127.0.0.1:{rogue.port}")
    assert rogue.questions == 0
