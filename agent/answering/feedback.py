"""Receives feedback: whether an earlier answer was correct, from users or programs that know."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable

from controller.memory import CAPACITY

log = logging.getLogger(__name__)

MAX_REMEMBERED = CAPACITY  # the controller no longer remembers older decisions


class Feedback:
    """Finds the decision that feedback is about, by decision id or by query id.

    Args:
        learn: called with a decision id and whether its answer is correct; returns whether it is known.
    """

    def __init__(self, learn: Callable[[str, bool], bool]) -> None:
        self._learn = learn
        self._decisions: OrderedDict[str, str] = OrderedDict()

    def remember(self, query_id: str, decision_id: str) -> None:
        """Records which decision answered a query; beyond MAX_REMEMBERED forgets the oldest."""
        self._decisions[query_id] = decision_id
        if len(self._decisions) > MAX_REMEMBERED:
            self._decisions.popitem(last=False)

    def receive(self, payload: bytes) -> bool:
        """Learns from a message `{"id" or "decision_id", "correct": bool}`.

        Returns:
            Whether anything could be learned from it. An invalid message is logged and ignored.
        """
        try:
            content = json.loads(payload)
            correct = content["correct"]
            decision_id = content.get("decision_id") or self._decisions[content["id"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("ignoring feedback (%r): send the id of a recent answer, and correct", error)
            return False
        if not isinstance(correct, bool) or not isinstance(decision_id, str):
            log.warning("ignoring feedback: correct must be true or false")
            return False
        return self._learn(decision_id, correct)
