"""The statistics of load tests distinguish lost, late, repeated and different replies."""

from __future__ import annotations

from dataclasses import replace

from agent.messages.reply import Answer, Refusal
from lab.rig.faults.runner import longest_gap_s
from lab.rig.load.generator import SentQuery
from lab.rig.load.statistics import QueryStatistics

ANSWER = Answer("q", "yes", "local", "m", None, 5.0, None, None, "d", "because")


def sent(*replies: tuple[float, Answer | Refusal], at: float = 0.0, deadline_ms: float = 1000.0) -> SentQuery:
    return SentQuery("q", at, deadline_ms, 4, at, list(replies))


def test_every_outcome_is_counted_once() -> None:
    statistics = QueryStatistics.of(
        [
            sent((0.5, ANSWER)),
            sent((1.5, ANSWER)),
            sent((0.1, Refusal("q", "busy", "later"))),
            sent(),
        ]
    )
    assert (statistics.sent, statistics.answered, statistics.errors, statistics.lost) == (4, 2, 1, 1)
    assert statistics.late == 1
    assert statistics.latency_ms_quantile(1.0) == 1500.0
    assert statistics.deadline_share_quantile(1.0) == 1.5


def test_a_copy_marked_as_resent_is_a_repeat_and_another_answer_is_not() -> None:
    copy = replace(ANSWER, resent=True)
    other = replace(ANSWER, decision_id="e", resent=True)
    query = sent((0.1, ANSWER), (0.2, copy), (0.3, ANSWER))
    assert (query.different_replies, query.repeats) == (0, 2)
    query = sent((0.1, ANSWER), (0.2, other), (0.3, Refusal("q", "busy", "later")))
    assert (query.different_replies, query.repeats) == (2, 0)


def test_a_gap_is_time_without_a_reply_while_a_query_is_open() -> None:
    assert longest_gap_s([sent((1.0, ANSWER)), sent((11.0, ANSWER), at=10.0)]) == 1.0
    assert longest_gap_s([sent((1.0, ANSWER)), sent((9.0, ANSWER), at=0.5)]) == 8.0
