"""The link emulator recognises TCP connections and multicast packets."""

from __future__ import annotations

import pytest

from lab.rig.faults.link_emulator import flow_of, is_multicast


def tcp(source: bytes, destination: bytes, ports: bytes) -> bytes:
    return bytes([0x45]) + bytes(8) + bytes([6]) + bytes(2) + source + destination + ports


def test_a_connection_is_the_same_flow_in_both_directions() -> None:
    request, response = tcp(b"aaaa", b"bbbb", b"\0\1\0\2"), tcp(b"bbbb", b"aaaa", b"\0\2\0\1")
    assert flow_of(request) == flow_of(response) != flow_of(tcp(b"aaaa", b"bbbb", b"\0\3\0\2"))


@pytest.mark.parametrize("packet", [b"", b"\x60" + bytes(60), bytes([0x45]) + bytes(40)])
def test_only_tcp_over_ipv4_has_a_flow(packet: bytes) -> None:
    assert flow_of(packet) is None


@pytest.mark.parametrize(
    ("packet", "multicast"),
    [
        (bytes([0x45]) + bytes(15) + bytes([224, 0, 0, 251]), True),
        (bytes([0x45]) + bytes(15) + bytes([239, 255, 255, 250]), True),
        (bytes([0x45]) + bytes(15) + bytes([10, 213, 77, 1]), False),
        (bytes([0x45]) + bytes(15) + bytes([255, 255, 255, 255]), False),
        (bytes([0x60]) + bytes(23) + bytes([0xFF, 2]) + bytes(14), True),
        (bytes([0x60]) + bytes(23) + bytes([0xFE, 0x80]) + bytes(14), False),
        (b"", False),
        (b"\x45", False),
    ],
)
def test_multicast_packets_are_recognised(packet: bytes, multicast: bool) -> None:
    assert is_multicast(packet) is multicast
