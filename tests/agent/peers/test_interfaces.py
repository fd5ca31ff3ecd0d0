"""Real zeroconf between network namespaces whose interfaces appear late, change, and are several.

A peer in one namespace announces itself, and devices in others browse. Both run before they are connected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from namespaces import NEEDS, Network, emulated_network, ip

pytestmark = NEEDS
PORT = 8020
PEER = """
import anyio, sys
from cloud import lan_announcer
from cloud.announce import advertised_host, on_lan
from cloud.peer import PeerRecord
from vlm.sockets import listening

lan_announcer.RESCAN_S = 0.2

async def main(listen):
    host = listen.rpartition(":")[0].strip("[]")
    with listening(listen):
        url = f"http://{advertised_host('0.0.0.0')}:8020"
        async with on_lan(PeerRecord("peer", url), listening=host):
            print("{}", flush=True)
            await anyio.sleep_forever()

anyio.run(main, sys.argv[1])
"""
DEVICE = """
import anyio, json
from agent.peers import mdns

mdns.RESCAN_S = 0.2

async def main():
    async with anyio.create_task_group() as tasks:
        found = lambda record: print(json.dumps(record.url), flush=True)
        tasks.start_soon(mdns.browse, found, lambda _record: None)
        print("{}", flush=True)

anyio.run(main)
"""
ANNOUNCED = """
import anyio, json
from cloud.peer import SERVICE
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

async def main():
    async with AsyncZeroconf(ip_version=IPVersion.All) as network:
        print("{}", flush=True)
        info = AsyncServiceInfo(SERVICE, f"peer.{SERVICE}")
        while not await info.async_request(network.zeroconf, 3000):
            pass
        print(json.dumps(info.parsed_addresses()), flush=True)

anyio.run(main)
"""


@pytest.fixture
def network() -> Iterator[Network]:
    with emulated_network() as created:
        yield created


def url(host: str) -> str:
    return f"http://{host}:{PORT}"


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("0.0.0.0:8020", ("10.77.0.1/24", "10.77.0.2/24")),
        ("[::]:8020", ("fd77::1/64", "fd77::2/64")),
    ],
)
def test_an_interface_that_appears_late_and_a_changed_address_are_noticed(
    network: Network, listen: str, addresses: tuple[str, str]
) -> None:
    peer, board = network.namespace("peer"), network.namespace("board")
    network.start(peer, PEER, listen)
    device = network.start(board, DEVICE)
    network.connect(peer, board, "eth0", *addresses)
    first, changed = (text.partition("/")[0] for text in (addresses[0], addresses[0].replace("1/", "9/")))
    bracketed: Callable[[str], str] = lambda host: f"[{host}]" if ":" in host else host  # noqa: E731
    assert device.wait_for(url(bracketed(first)))
    ip("-n", peer, "addr", "del", addresses[0], "dev", "eth0")
    ip("-n", peer, "addr", "add", addresses[0].replace("1/", "9/"), "dev", "eth0")
    assert device.wait_for(url(bracketed(changed)))


def test_each_network_gets_the_address_that_the_peer_has_there(network: Network) -> None:
    peer, board, other = (network.namespace(name) for name in ("peer", "board", "other"))
    for namespace in (peer, board):
        network.bridge(namespace, "172.17.0.1/16")
    network.connect(peer, board, "eth0", "10.77.0.1/24", "10.77.0.2/24")
    network.connect(peer, other, "eth1", "10.78.0.1/24", "10.78.0.2/24")
    devices = [network.start(board, DEVICE), network.start(other, DEVICE)]
    network.start(peer, PEER, "0.0.0.0:8020")
    for device, host in zip(devices, ("10.77.0.1", "10.78.0.1"), strict=True):
        assert set(device.wait_for(url(host))) == {url(host)}
    assert network.start(board, ANNOUNCED).line() == ["10.77.0.1"]
    assert network.start(other, ANNOUNCED).line() == ["10.78.0.1"]
