"""The truth about earlier answers, from whoever knows it."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from controller.controller import Controller
from controller.memory import CAPACITY

log = logging.getLogger(__name__)

MOST_REMEMBERED = CAPACITY  # the controller has forgotten the decisions of older ones


class Feedback:
    """Hands the truth to the controller, by decision id or by the id of the query."""

    def __init__(self, controller: Controller, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._controller = controller
        self._clock = clock
        self._decisions: OrderedDict[str, str] = OrderedDict()

    def remember(self, query_id: str, decision_id: str) -> None:
        """Note which decision answered a query; the oldest are forgotten beyond MOST_REMEMBERED."""
        self._decisions[query_id] = decision_id
        if len(self._decisions) > MOST_REMEMBERED:
            self._decisions.popitem(last=False)

    def take(self, payload: bytes) -> bool:
        """Learn from `{"id" or "decision_id", "correct": bool}`; False, and a warning, when it cannot be."""
        try:
            told = json.loads(payload)
            correct = told["correct"]
            decision_id = told.get("decision_id") or self._decisions[told["id"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("ignoring feedback (%r): send the id of a recent answer, and correct", error)
            return False
        if not isinstance(correct, bool) or not isinstance(decision_id, str):
            log.warning("ignoring feedback: correct must be true or false")
            return False
        return self._controller.feedback(decision_id, correct, now=self._clock())
