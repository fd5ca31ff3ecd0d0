"""What `inarvl top` has seen of an agent."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.cli.log_line import known, place, runs_of, sent_run
from agent.messages.mqtt_message import Message
from agent.messages.seen_telemetry import BadTelemetry, SeenTelemetry, telemetry_object
from agent.messages.topics import Topics

MAX_SEEN: Final = 2000


@dataclass(frozen=True)
class SeenAnswer:
    """An answer, as its decision record has it.

    Attributes:
        at: seconds since 1970.
        where: the tier and the model, as text.
        latency_ms, energy_j: of all calls before the reply together; None if unknown for any of them.
    """

    at: float
    local: bool
    where: str
    latency_ms: float | None
    energy_j: float | None
    reason: str

    @classmethod
    def of(cls, record: Mapping[str, Any], at: float) -> SeenAnswer | None:
        """Returns the answer of a decision record; None if the record has none."""
        sent = sent_run(record)
        if sent is None:
            return None
        runs = runs_of(record)
        before = runs[: runs.index(sent) + 1]
        return cls(
            at=known(record, "time") or at,
            local=str(sent.get("arm")).startswith("local/"),
            where=place(sent.get("arm")),
            latency_ms=_sum(before, "latency_ms"),
            energy_j=_sum(before, "energy_j"),
            reason=str(record.get("reason", "")),
        )


@dataclass
class TopState:
    """The latest messages of an agent, and its latest answers.

    Attributes:
        problem: why a message cannot be shown; empty if all can.
        events: the latest ones, as text.
    """

    topics: Topics
    status: str | None = None
    mode: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    telemetry: SeenTelemetry | None = None
    problem: str = ""
    answers: deque[SeenAnswer] = field(default_factory=lambda: deque(maxlen=MAX_SEEN))
    events: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def complete(self) -> bool:
        """Whether all retained messages have arrived."""
        return None not in (self.status, self.mode, self.telemetry)

    def add(self, message: Message, at: float) -> None:
        """Adds a message.

        Args:
            at: when it arrived, in seconds since 1970.
        """
        topics, text = self.topics, message.payload.decode(errors="replace")
        if message.topic == topics.status:
            self.status = text
        elif message.topic == topics.mode_state:
            self.mode = text
        elif message.topic == topics.telemetry:
            try:
                self.raw = telemetry_object(text)
                self.telemetry, self.problem = SeenTelemetry.of(self.raw), ""
            except BadTelemetry as error:
                self.problem = str(error)
        else:
            self._add_record(message.topic, text, at)

    def add_decision(self, record: Mapping[str, Any], at: float) -> None:
        """Adds a decision record."""
        answer = SeenAnswer.of(record, at)
        if answer is not None:
            self.answers.append(answer)

    def _add_record(self, topic: str, text: str, at: float) -> None:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(content, dict):
            return
        if topic == self.topics.decision:
            self.add_decision(content, at)
        elif topic == self.topics.event:
            self.events.append(" ".join(str(value) for value in content.values()))


def shares(answers: deque[SeenAnswer], now: float, bins: int, bin_s: float) -> list[float | None]:
    """Returns the board's share of the answers in each of the last `bins` periods; None without an answer."""
    counts = [[0, 0] for _ in range(bins)]
    for answer in answers:
        ago = int((now - answer.at) // bin_s)
        if 0 <= ago < bins:
            counts[bins - 1 - ago][0] += answer.local
            counts[bins - 1 - ago][1] += 1
    return [local / total if total else None for local, total in counts]


def _sum(runs: list[Mapping[str, Any]], name: str) -> float | None:
    values = [known(run, name) for run in runs]
    return None if None in values else sum(value for value in values if value is not None)
