"""Strangers that announce themselves by real multicast are sent nothing, and do not hide an honest peer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Certificates
from namespaces import NEEDS, Network, Program, emulated_network

from agent.peers.pins import Pin, PinFile

pytestmark = NEEDS
BOGUS = 130
HONEST, ROGUE, BOARD = "10.77.0.1", "10.78.0.1", ("10.77.0.2", "10.78.0.2")
PEER = """
import anyio, ssl, sys
from cloud.announce import on_lan
from cloud.peer import PeerRecord
from lab.rig.hostile.recorder import Recorder

async def main(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with Recorder(context).running("10.77.0.1", 8020):
        print("{}", flush=True)
        async with on_lan(PeerRecord("honest", "https://10.77.0.1:8020")):
            await anyio.sleep_forever()

anyio.run(main, *sys.argv[1:])
"""
STRANGERS = """
import asyncio, json, sys
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
from cloud.peer import SERVICE, PeerRecord

async def main(count, site_id):
    def connected(reader, writer):
        print(json.dumps("connected"), flush=True)
        writer.close()

    await asyncio.start_server(connected, "10.78.0.1", 8020)
    async with AsyncZeroconf(interfaces=["10.78.0.1"]) as network:
        names = [f"bogus-{number}" for number in range(int(count))]
        services = [
            AsyncServiceInfo(
                SERVICE, f"{name}.{SERVICE}", parsed_addresses=["10.78.0.1", "127.0.0.1"], port=8020,
                properties=PeerRecord(site_id or name, "http://10.78.0.1:8020").to_txt(),
                server=f"{name}.local.",
            )
            for name in names
        ]
        for service in services:
            await network.async_register_service(service, cooperating_responders=True)
        print("{}", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""
DEVICE = """
import anyio, json, sys
import numpy as np
from agent.config.settings import Settings
from agent.peers import directory
from agent.profile.loading import load_profile

directory.PINS_S = 0.1

async def main(site):
    settings = Settings.model_validate(json.loads(site))
    servers = directory.ServerDirectory(
        settings, load_profile("generic-x86"), rng=np.random.default_rng(0),
        changed=lambda server, state: print(json.dumps([server, state]), flush=True),
    )
    print("{}", flush=True)
    servers.apply(settings)
    await servers.run()

anyio.run(main, sys.argv[1])
"""


@pytest.fixture
def network() -> Iterator[Network]:
    with emulated_network() as created:
        yield created


def wait_for(device: Program, server: str, state: str) -> list[tuple[str, str]]:
    """Returns the events until the one with this state of a server."""
    events = [tuple(device.line())]
    while events[-1] != (server, state):
        events.append(tuple(device.line()))
    return events


def site(folder: Path, trust: object, **fields: object) -> str:
    discovery = {"zeroconf": True, "mqtt": False, "trust": trust}
    return json.dumps(
        {"device": "d", "local": None, "state_dir": str(folder), "discovery": discovery, **fields}
    )


@pytest.fixture
def cables(network: Network) -> tuple[str, str, str]:
    """The namespaces of an honest peer, of the strangers, and of the board between them."""
    peer, strangers, board = (network.namespace(name) for name in ("peer", "strangers", "board"))
    network.connect(peer, board, "eth0", f"{HONEST}/24", f"{BOARD[0]}/24")
    network.connect(strangers, board, "eth1", f"{ROGUE}/24", f"{BOARD[1]}/24")
    return peer, strangers, board


@pytest.mark.parametrize("order", ["strangers first", "peer first"])
def test_130_strangers_do_not_hide_a_peer_that_can_be_trusted(
    network: Network, cables: tuple[str, str, str], tmp_path: Path, order: str
) -> None:
    certificates = Certificates(tmp_path)
    peer, strangers, board = cables
    cert, key = tmp_path / "peer.pem", tmp_path / "peer.key"
    certificates.server(HONEST).write(cert, key)
    trust = {"ca_file": str(certificates.ca_file)}
    if order == "peer first":
        network.start(peer, PEER, str(cert), str(key))
    crowd = network.start(strangers, STRANGERS, str(BOGUS), "")
    device = network.start(board, DEVICE, site(tmp_path, trust))
    if order == "strangers first":
        network.start(peer, PEER, str(cert), str(key))
    wait_for(device, "honest", "healthy")
    assert crowd.is_silent(), "a stranger was connected to"


def test_a_pin_is_found_again_behind_130_strangers(
    network: Network, cables: tuple[str, str, str], tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    peer, strangers, board = cables
    issued = certificates.server(HONEST)
    key, cert = tmp_path / "peer.key", tmp_path / "peer.pem"
    issued.write(cert, key)
    device = network.start(board, DEVICE, site(tmp_path, "none"))
    network.start(peer, PEER, str(cert), str(key))
    wait_for(device, "honest", "untrusted")
    crowd = network.start(strangers, STRANGERS, str(BOGUS), "")
    PinFile(tmp_path).add(Pin("honest", f"https://{HONEST}:8020", issued.fingerprint))
    wait_for(device, "honest", "healthy")
    assert crowd.is_silent(), "a stranger was connected to"


def test_strangers_with_the_id_of_a_peer_of_the_site_file_change_nothing(
    network: Network, cables: tuple[str, str, str], tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    peer, strangers, board = cables
    issued = certificates.server(HONEST)
    key, cert = tmp_path / "peer.key", tmp_path / "peer.pem"
    issued.write(cert, key)
    (tmp_path / "api.key").write_text("secret")
    named = {
        "id": "honest",
        "url": f"https://{HONEST}:8020",
        "ca_file": str(certificates.ca_file),
        "api_key_file": str(tmp_path / "api.key"),
    }
    network.start(peer, PEER, str(cert), str(key))
    crowd = network.start(strangers, STRANGERS, "12", "honest")
    device = network.start(board, DEVICE, site(tmp_path, "any", peers=[named]))
    events = wait_for(device, "honest", "healthy")
    crowd.stop()
    assert events == [("honest", "found"), ("honest", "healthy")]
    assert crowd.is_silent(), "a stranger was connected to"
    assert device.is_silent(), "the peer is still there"
