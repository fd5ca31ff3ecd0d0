"""Counters and histograms of what the agent has done since its start.

The values of labels are bounded: of each label the first MAX_LABELS values are kept, and all others are
counted together as OTHER.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from agent.answering.answering import Answered, Finished
from agent.answering.hedging import CANCELLED
from agent.messages.explanation import AnyReply, Explanation
from agent.messages.reply import Answer
from agent.spending.spend_meter import MeteredCall

MAX_LABELS: Final = 32
MAX_LABEL_LENGTH: Final = 64
OTHER: Final = "other"
LATE: Final = "late"
LATENCY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

disable_created_metrics()  # type: ignore[no-untyped-call] # when each series began is of no use here


class Counters:
    """Counts replies, calls to models, tokens, energy, money and hedges.

    Args:
        registry: from which they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._labels: dict[str, set[str]] = defaultdict(set)

        def counter(name: str, text: str, labels: Sequence[str]) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._replies = counter(
            "inarvl_replies", "Replies to queries, by tier that answered.", ["tier", "outcome"]
        )
        self._errors = counter("inarvl_errors", "Replies that are an error, by code.", ["code"])
        self._latency = Histogram(
            "inarvl_reply_latency_seconds",
            "Time from the arrival of a query to its answer.",
            ["tier"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self._calls = counter(
            "inarvl_calls",
            "Calls to models: answers, audits, comparisons of new models, judgements, tests of sight.",
            ["tier", "purpose", "outcome"],
        )
        self._failures = counter(
            "inarvl_call_failures", "Calls to models that failed, by server and reason.", ["server", "reason"]
        )
        self._tokens = counter(
            "inarvl_tokens",
            "Tokens of calls, as the server reports them or estimated.",
            ["tier", "direction", "source"],
        )
        self._energy = counter(
            "inarvl_answer_energy_joules",
            "Energy of the board for answers, audits and comparisons, measured or modelled.",
            ["tier", "source"],
        )
        self._spend = counter(
            "inarvl_spend",
            "What calls have cost, in units of the currency.",
            ["server", "purpose", "currency", "source"],
        )
        self._hedges = counter(
            "inarvl_hedges", "Questions of which both tiers were asked at the same time.", ["winner"]
        )

    def replied(self, reply: AnyReply) -> None:
        """Counts a reply."""
        if isinstance(reply, Answer):
            self._replies.labels(reply.tier, "answered").inc()
            self._latency.labels(reply.tier).observe(reply.latency_ms / 1e3)
        elif isinstance(reply, Explanation):
            self._replies.labels("none", "explained").inc()
        else:
            self._replies.labels("none", "refused").inc()
            self._errors.labels(self._bounded("code", reply.code)).inc()

    def called(self, ended: MeteredCall) -> None:
        """Counts a call to a model."""
        call, tokens, cost = ended.call, ended.tokens, ended.cost
        server = self._bounded("server", call.server)
        outcome = "answered" if ended.failure is None else "failed"
        self._calls.labels(call.tier, call.purpose, outcome).inc()
        if ended.failure is not None:
            self._failures.labels(server, self._bounded("reason", ended.failure)).inc()
        if tokens is not None:
            self._tokens.labels(call.tier, "input", tokens.source).inc(tokens.input)
            self._tokens.labels(call.tier, "output", tokens.source).inc(tokens.output)
        if cost.amount:
            currency = self._bounded("currency", cost.currency)
            self._spend.labels(server, call.purpose, currency, cost.source).inc(cost.amount)

    def answered(self, answered: Answered, finished: Finished) -> None:
        """Counts the energy of an answer with what followed it, and whether it was hedged."""
        for attempt in finished.attempts:
            if attempt.execution.energy_j is not None and attempt.energy_source is not None:
                tier = attempt.execution.arm.tier
                self._energy.labels(tier, attempt.energy_source).inc(max(0.0, attempt.execution.energy_j))
        failures = {attempt.execution.failure for attempt in answered.attempts}
        if CANCELLED in failures:
            self._hedges.labels("cloud").inc()
        elif LATE in failures:
            self._hedges.labels("local").inc()

    def _bounded(self, label: str, value: str) -> str:
        value, known = value[:MAX_LABEL_LENGTH], self._labels[label]
        if value in known or len(known) < MAX_LABELS:
            known.add(value)
            return value
        return OTHER
