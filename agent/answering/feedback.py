"""Receives feedback: whether an earlier answer was correct, from clients or operators that know.

1. Every answer that is sent gets a decision id that nobody can guess; only its asker receives it. Feedback
   names an answer by it, or by the query's id.
2. A client's own topic takes feedback on the answers to its own questions only, the operator's topic on all.
   Each answer takes feedback once.
3. Feedback waits until everything that ran for its answer is known: only then can it be tested.
4. How much it counts, `FeedbackTrust` says. Feedback of a client that is ignored is dropped, and does not
   count as the one that its answer takes.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.answering.feedback_trust import FeedbackTrust
from agent.answering.known_errors import KnownError
from agent.messages.feedback import BadFeedback, FeedbackMessage
from agent.messages.names import is_name
from agent.messages.query import Query
from controller.memory import CAPACITY
from inarvl.door import Door
from inarvl.quoting import quoted

log = logging.getLogger(__name__)

MAX_REMEMBERED: Final = CAPACITY  # the controller no longer remembers older decisions
OPERATOR: Final = "operator"  # whoever may publish on the operator's topic
UNKNOWN: Final = "no recent answer of yours has this id"


@dataclass
class _Sent:
    """An answer that was sent.

    Attributes:
        decision: the policy's own id of the decision.
        known: how likely it is wrong; None until everything that ran for it is known.
        report: who gave feedback on it and whether it is correct; None before.
    """

    decision: str
    asker: str
    query_id: str
    known: KnownError | None = None
    report: tuple[str, bool] | None = None


class Feedback:
    """Finds the answer that feedback is about, and passes the feedback on with how far it is believed.

    Args:
        learn: called with the policy's id of a decision, whether its answer is correct, and how far that is
            believed, from 0 to 1; returns whether the decision is known.
        trust: of each client.
        ignored: called with a message for the operator when a client is ignored from now on.
        door: drops invalid messages.
    """

    def __init__(
        self,
        learn: Callable[[str, bool, float], bool],
        *,
        trust: FeedbackTrust | None = None,
        ignored: Callable[[str], None] = log.warning,
        door: Door | None = None,
    ) -> None:
        self._learn = learn
        self._trust = trust or FeedbackTrust()
        self._ignored = ignored
        self._door = door or Door("feedback")
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self._by_query: dict[str, dict[str, str]] = {}  # decision ids by query id and asker

    def remember(self, decision_id: str, decision: str, *, query: Query) -> None:
        """Records the answer to a query; beyond MAX_REMEMBERED forgets the oldest.

        Args:
            decision_id: the secret in the reply.
            decision: the policy's own id of the decision.
        """
        self._sent[decision_id] = _Sent(decision, query.client, query.id)
        self._by_query.setdefault(query.id, {})[query.client] = decision_id
        if len(self._sent) > MAX_REMEMBERED:
            self._forget(*self._sent.popitem(last=False))

    def finished(self, decision_id: str, known: KnownError) -> None:
        """Records how likely an answer is wrong, after everything ran that the agent does for it."""
        if known.tested:
            self._trust.compared()
        sent = self._sent.get(decision_id)
        if sent is None or sent.known is not None:  # an answer that came too late was not sent
            return
        sent.known = known
        if sent.report is not None:
            with self._door.guard("a message"):
                self._teach(sent, known, *sent.report)

    def receive(self, payload: bytes, client: str | None = None) -> bool:
        """Learns from the payload of a `FeedbackMessage`.

        Args:
            client: the client on whose own topic it arrived; None on the topic of operators.

        Returns:
            Whether it was accepted. An invalid message is logged and ignored.
        """
        with self._door.guard("a message"):
            return self.accept(payload, client)
        return False

    def accept(self, payload: bytes, client: str | None = None) -> bool:
        """Learns as `receive` does.

        Raises:
            BadFeedback: the message is invalid, names no answer of this client, or is not accepted.
        """
        message = FeedbackMessage.from_bytes(payload)
        if client is not None and not is_name(client):
            raise BadFeedback("the client in the topic is no name")
        sender = OPERATOR if client is None else client
        sent = self._sent_for(message, client)
        if self._trust.ignores(sender):
            raise BadFeedback(f"feedback of {quoted(sender)} is ignored: it was too often wrong")
        if sent.report is not None:
            raise BadFeedback("this answer has its feedback already: send it once")
        sent.report = sender, message.correct
        self._trust.watch(sent.asker)
        return sent.known is None or self._teach(sent, sent.known, *sent.report)

    def _sent_for(self, message: FeedbackMessage, client: str | None) -> _Sent:
        """Returns the answer that a message is about.

        Raises:
            BadFeedback: it names no answer that was sent recently, or that of another client.
        """
        decision_id = message.decision_id
        if decision_id is None:
            by_asker = self._by_query.get(message.query_id or "", {})
            asker = message.client if client is None else client
            if asker is None and len(by_asker) > 1:
                raise BadFeedback("several clients used this query id: add who asked as client")
            decision_id = next(iter(by_asker.values()), "") if asker is None else by_asker.get(asker, "")
        sent = self._sent.get(decision_id)
        if sent is None or client not in (None, sent.asker):
            raise BadFeedback(UNKNOWN)
        return sent

    def _teach(self, sent: _Sent, known: KnownError, sender: str, correct: bool) -> bool:
        if self._trust.observe(sender, correct, known.p_wrong, tested=known.tested):
            contradicted, tested = self._trust.contradictions(sender)
            self._ignored(
                f"feedback of {quoted(sender)} is ignored: it contradicted {contradicted} of the {tested} "
                "answers that the agent compared by itself. Check who sends it; if it is right and the model "
                "in the cloud is wrong, add the name to feedback.trusted in the site file"
            )
            return False
        if self._trust.ignores(sender):
            return False
        weight = self._trust.weight(sender, tested=known.tested)
        return self._learn(sent.decision, correct, weight)

    def _forget(self, decision_id: str, sent: _Sent) -> None:
        by_asker = self._by_query.get(sent.query_id, {})
        if by_asker.get(sent.asker) == decision_id:
            del by_asker[sent.asker]
            if not by_asker:
                del self._by_query[sent.query_id]
