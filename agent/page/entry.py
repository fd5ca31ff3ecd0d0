"""One answer as the page shows it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.intake.request import Request
from agent.messages.reply import Answer

MAX_QUESTION, MAX_TEXT, MAX_ARMS = 300, 500, 12
COSTS = ("latency_ms", "energy_j", "quality", "score", "blocked")
SHOWN = ("tier", "model", "confidence", "latency_ms", "energy_j", "energy_source")


@dataclass
class AnswerEntry:
    """An answer that was sent.

    Attributes:
        key: names it on the page.
        time: when it was sent, in seconds since 1970.
        decision_id: the secret that the asker has; it is not sent to the page.
        content: what the page shows.
        picture: data URL of a small picture; None without one.
        correct: the feedback that an operator gave on the page; None before.
    """

    time: float
    tier: str
    decision_id: str
    content: dict[str, Any]
    picture: str | None = None
    correct: bool | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(
        cls, request: Request, answer: Answer, record: Mapping[str, Any], *, now: float, texts: bool
    ) -> AnswerEntry:
        """Returns the entry of an answer.

        Args:
            record: its decision record.
            texts: whether the question and the words of the models may be shown.
        """
        content: dict[str, Any] = {name: getattr(answer, name) for name in SHOWN}
        content["client"] = request.query.client
        content["reason"] = _short(answer.reason, MAX_TEXT)
        if texts:
            content["question"] = _short(request.query.question, MAX_QUESTION)
            content["answer"] = _short(answer.answer, MAX_TEXT)
            content["warning"] = None if answer.warning is None else _short(answer.warning, MAX_TEXT)
        content["arm"] = record["arm"]
        content["alternatives"] = _alternatives(record["predictions"])
        content |= {name: record[name] for name in ("cost", "currency", "cost_source") if name in record}
        return cls(now, answer.tier, answer.decision_id, content)

    def to_json(self) -> dict[str, Any]:
        """Returns what the page gets."""
        return {
            "key": self.key,
            "time": self.time,
            **self.content,
            "picture": self.picture,
            "correct": self.correct,
        }


def _alternatives(predictions: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the predicted costs of the arms, the best first; those that were blocked are last."""

    def order(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, float]:
        score = item[1]["score"]
        return bool(item[1].get("blocked")), score if math.isfinite(score) else math.inf

    best = sorted(predictions.items(), key=order)[:MAX_ARMS]
    return [{"arm": arm, **{name: costs.get(name) for name in COSTS}} for arm, costs in best]


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
