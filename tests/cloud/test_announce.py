"""A peer announces addresses that others can reach, and says why a broker cannot be reached."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Interface, IPv6Interface

import anyio
import pytest

from agent.standalone.broker import free_port
from cloud import announce, lan_announcer
from cloud.announce import AnnounceFailed, advertised_host, on_broker, on_lan
from cloud.announcement import advertised_address
from cloud.peer import PeerRecord
from inarvl.network_interfaces import NetworkInterface
from vlm.sockets import listening

LOOPBACK = NetworkInterface("lo", (IPv4Interface("127.0.0.1/8"), IPv6Interface("::1/128")))
CABLE = NetworkInterface("eth0", (IPv4Interface("10.0.0.7/24"), IPv6Interface("fe80::7/64")))


@pytest.fixture(autouse=True)
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inarvl.network_interfaces.network_interfaces", lambda: (CABLE, LOOPBACK))


def test_a_wildcard_is_replaced_by_an_address_that_others_can_reach() -> None:
    assert advertised_host("0.0.0.0") == advertised_host("::") == "10.0.0.7"
    assert advertised_host("10.9.9.9") == "10.9.9.9"


@pytest.mark.parametrize(
    ("resolved", "expected"),
    [
        (["127.0.1.1"], ["10.0.0.7", "fe80::7"]),  # as Debian writes into /etc/hosts
        (["127.0.1.1", "10.0.0.7"], ["10.0.0.7"]),
        (["::1", "fd00::9", "10.1.1.1"], ["10.1.1.1", "fd00::9"]),
    ],
)
def test_a_name_is_never_announced_with_a_loopback_address(
    monkeypatch: pytest.MonkeyPatch, resolved: list[str], expected: list[str]
) -> None:
    found = [(0, 0, 0, "", (address, 0)) for address in resolved]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert [str(ip) for ip in announce._addresses("myhost")] == expected


@pytest.mark.parametrize(
    ("advertise", "host", "expected"),
    [
        (None, "0.0.0.0", "10.0.0.7:8020"),
        (None, "fd00::7", "[fd00::7]:8020"),
        ("gpu.local", "::", "gpu.local:8020"),
        ("gpu.local:80", "::", "gpu.local:80"),
        ("fd00::7", "::", "[fd00::7]:8020"),
        ("[fd00::7]:80", "::", "[fd00::7]:80"),
    ],
)
def test_an_advertised_host_may_be_an_ipv6_address(advertise: str | None, host: str, expected: str) -> None:
    assert advertised_address(advertise, host, 8020) == expected


def test_a_server_at_every_ipv6_address_is_reached_by_ipv4_too() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening("[::]:0") as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


@pytest.mark.anyio
async def test_an_interface_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AnnounceFailed, match="`ip address` lists"):
        async with on_lan(PeerRecord("peer", "http://10.0.0.7:8020"), ["10.55.55.55"]):
            raise AssertionError


@pytest.mark.anyio
async def test_a_failed_scan_of_the_interfaces_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    scans, scanned_again = 0, anyio.Event()
    monkeypatch.setattr(lan_announcer, "RESCAN_S", 0.01)

    def fail_once() -> tuple[NetworkInterface, ...]:
        nonlocal scans
        scans += 1
        if scans == 2:
            raise OSError(errno.EMFILE, "too many open files")
        if scans == 3:
            scanned_again.set()
        return (LOOPBACK,)

    monkeypatch.setattr(lan_announcer, "network_interfaces", fail_once)
    with anyio.fail_after(60):
        async with on_lan(PeerRecord("peer", "http://10.0.0.7:8020"), interfaces=("10.0.0.7",)):
            await scanned_again.wait()


@pytest.mark.anyio
async def test_a_broker_that_cannot_be_reached_is_named(caplog: pytest.LogCaptureFixture) -> None:
    record = PeerRecord("peer", "http://10.0.0.7:8020")
    async with on_broker(record, f"mqtt://127.0.0.1:{free_port()}"):
        with anyio.fail_after(60):
            while "nothing listens at this address" not in caplog.text:  # noqa: ASYNC110 # written by a thread
                await anyio.sleep(0.01)
