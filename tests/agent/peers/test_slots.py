"""However many strangers announce themselves on the broker, an honest peer is found, used and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import Certificates
from directory_rig import Directory, lan_address, running, settings

from agent.peers import directory
from agent.peers.pins import Pin, PinFile
from agent.peers.slots import MAX_CLAIMS, MAX_PEERS, MAX_UNTRUSTED
from agent.standalone.broker import free_port
from lab.rig.hostile.recorder import Recorder

pytestmark = pytest.mark.anyio
BOGUS = 130


@pytest.fixture
def site(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def bogus(found: Directory, host: str, first: int = 0) -> None:
    """Announces strangers at ports where nothing listens."""
    closed = free_port()
    for number in range(first, first + BOGUS):
        found.retain(f"bogus-{number}", f"https://{host}:{closed}")


@pytest.mark.parametrize("order", ["before", "after", "around"])
async def test_130_bogus_records_do_not_hide_a_peer_with_a_certificate(
    site: Certificates, order: str
) -> None:
    host = lan_address()
    async with (
        Recorder(site.server(host).context).running(host) as honest,
        running(settings(site.folder, {"ca_file": str(site.ca_file)})) as found,
    ):
        if order != "after":
            bogus(found, host)
        found.retain("honest", f"https://{host}:{honest.port}")
        if order != "before":
            bogus(found, host, BOGUS)
        await found.healthy("honest")
        bogus(found, host, 2 * BOGUS)
        assert await found.ask("honest") == "yes"
        assert len(found.servers.registry("cloud").known()) <= MAX_PEERS
        assert "honest" in {server["id"] for server in found.servers.report()}
        assert len(found.servers.report()) <= directory.MAX_REPORTED + 1


async def test_more_strangers_than_places_do_not_keep_a_peer_out(site: Certificates) -> None:
    host = lan_address()
    async with (
        Recorder(site.server(host).context).running(host) as honest,
        running(settings(site.folder, {"ca_file": str(site.ca_file)})) as found,
    ):
        cloud = found.servers.registry("cloud")
        for first in range(0, MAX_PEERS + BOGUS, BOGUS):
            bogus(found, host, first)
        assert len(cloud.known()) == MAX_PEERS
        await found.until(lambda: any(peer.failures for peer in cloud.known()))
        found.retain("honest", f"https://{host}:{honest.port}")
        await found.healthy("honest")
        assert len(cloud.known()) == MAX_PEERS


async def test_130_untrusted_records_do_not_hide_a_pinned_peer_and_the_newest_are_listed(
    site: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "PINS_S", 0.05)
    host = lan_address()
    certificate = site.server(host)
    PinFile(site.folder).add(Pin("honest", f"https://{host}:1", certificate.fingerprint))
    async with (
        Recorder(certificate.context).running(host) as honest,
        running(settings(site.folder)) as found,
    ):
        bogus(found, host)
        found.retain("honest", f"https://{host}:{honest.port}")
        bogus(found, host, BOGUS)
        await found.healthy("honest")
        known = found.servers.registry("cloud").known()
        listed = [peer.record.id for peer in known if not peer.trusted]
        assert listed == [f"bogus-{number}" for number in range(2 * BOGUS - MAX_UNTRUSTED, 2 * BOGUS)]
        assert len([event for event in found.events if event[0].startswith("bogus")]) < BOGUS


async def test_strangers_that_claim_the_id_of_an_honest_peer_do_not_keep_it_out(site: Certificates) -> None:
    host = lan_address()
    certificate = site.server(host)
    PinFile(site.folder).add(Pin("honest", f"https://{host}:1", certificate.fingerprint))
    async with (
        Recorder(certificate.context).running(host) as honest,
        running(settings(site.folder)) as found,
    ):
        for _ in range(BOGUS):
            found.retain("honest", f"https://{host}:{free_port()}")
        await found.checked("honest")
        found.retain("honest", f"https://{host}:{honest.port}")
        await found.healthy("honest")
        for _ in range(BOGUS):
            found.retain("honest", f"https://{host}:{free_port()}")
        assert await found.ask("honest") == "yes"
        assert len(found.servers.registry("cloud").known()) <= MAX_CLAIMS + 1
