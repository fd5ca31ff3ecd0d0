"""The accounts of load and faults tell what happened: lost, late, answered twice, or the same reply again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.messages.reply import Answer, Refusal
from lab.rig.faults.link_emulator import _flow, _to_group
from lab.rig.faults.runner import longest_gap_s
from lab.rig.load.generator import Sent
from lab.rig.load.statistics import Tally

ANSWER = Answer("q", "yes", "local", "m", None, 5.0, None, None, "d", "because")


def sent(*replies: tuple[float, Answer | Refusal], at: float = 0.0, deadline_ms: float = 1000.0) -> Sent:
    return Sent("q", at, deadline_ms, 4, at, list(replies))


def test_every_outcome_is_counted_once() -> None:
    tally = Tally.of(
        [
            sent((0.5, ANSWER)),
            sent((1.5, ANSWER)),
            sent((0.1, Refusal("q", "busy", "later"))),
            sent(),
        ]
    )
    assert (tally.sent, tally.answered, tally.errors, tally.lost) == (4, 2, 1, 1)
    assert tally.late == 1
    assert tally.percentile_ms(1.0) == 1500.0
    assert tally.percentile_of_deadline(1.0) == 1.5


def test_a_copy_marked_as_resent_is_a_repeat_and_another_answer_is_not() -> None:
    again = replace(ANSWER, resent=True)
    other = replace(ANSWER, decision_id="e", resent=True)
    found = sent((0.1, ANSWER), (0.2, again), (0.3, ANSWER))
    assert (found.other_replies, found.repeats) == (0, 2)
    found = sent((0.1, ANSWER), (0.2, other), (0.3, Refusal("q", "busy", "later")))
    assert (found.other_replies, found.repeats) == (2, 0)


def test_a_gap_is_time_without_a_reply_while_something_is_open() -> None:
    assert longest_gap_s([sent((1.0, ANSWER)), sent((11.0, ANSWER), at=10.0)]) == 1.0
    assert longest_gap_s([sent((1.0, ANSWER)), sent((9.0, ANSWER), at=0.5)]) == 8.0


def tcp(source: bytes, sink: bytes, ports: bytes) -> bytes:
    return bytes([0x45]) + bytes(8) + bytes([6]) + bytes(2) + source + sink + ports


def test_a_connection_is_the_same_in_both_directions() -> None:
    there, back = tcp(b"aaaa", b"bbbb", b"\0\1\0\2"), tcp(b"bbbb", b"aaaa", b"\0\2\0\1")
    assert _flow(there) == _flow(back) != _flow(tcp(b"aaaa", b"bbbb", b"\0\3\0\2"))


@pytest.mark.parametrize("packet", [b"", b"\x60" + bytes(60), bytes([0x45]) + bytes(40)])
def test_what_is_no_tcp_over_ipv4_belongs_to_no_connection(packet: bytes) -> None:
    assert _flow(packet) is None


@pytest.mark.parametrize(
    ("packet", "to_group"),
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
def test_packets_to_groups_are_told_from_others(packet: bytes, to_group: bool) -> None:
    assert _to_group(packet) is to_group
