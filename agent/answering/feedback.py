"""Receives feedback: whether an earlier answer was correct, from users or programs that know."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from agent.messages.feedback import BadFeedback, FeedbackMessage
from controller.memory import CAPACITY
from inarvl.door import Door

MAX_REMEMBERED = CAPACITY  # the controller no longer remembers older decisions


class Feedback:
    """Finds the decision that feedback is about, by decision id or by query id.

    Args:
        learn: called with a decision id and whether its answer is correct; returns whether it is known.
        door: drops invalid messages.
    """

    def __init__(self, learn: Callable[[str, bool], bool], *, door: Door | None = None) -> None:
        self._learn = learn
        self._door = door or Door("feedback")
        self._decisions: OrderedDict[str, str] = OrderedDict()

    def remember(self, query_id: str, decision_id: str) -> None:
        """Records which decision answered a query; beyond MAX_REMEMBERED forgets the oldest."""
        self._decisions[query_id] = decision_id
        if len(self._decisions) > MAX_REMEMBERED:
            self._decisions.popitem(last=False)

    def receive(self, payload: bytes, client: str | None = None) -> bool:
        """Learns from the payload of a `FeedbackMessage`.

        Args:
            client: the client on whose own topic it arrived; None on the topic of operators.

        Returns:
            Whether anything could be learned from it. An invalid message is logged and ignored.
        """
        with self._door.guard("a message"):
            message = FeedbackMessage.from_bytes(payload)
            return self._learn(self._decision(message), message.correct)
        return False

    def _decision(self, message: FeedbackMessage) -> str:
        """Returns the decision that a message is about.

        Raises:
            BadFeedback: it names a query that was not answered recently.
        """
        if message.decision_id is not None:
            return message.decision_id
        decision = self._decisions.get(message.query_id or "")
        if decision is None:
            raise BadFeedback(f"no recent answer has the id {message.query_id!r}")
        return decision
