"""How far the feedback of each client is believed, by what the agent knows of the same answers by itself.

1. Of every answer with feedback the agent holds a probability that it is wrong: from the comparison of the
   board's answer with the reference's if both answered (the answer is then *tested*), else from how likely
   they were to differ. Whoever says the truth says "wrong" more often where that probability is higher.
   Whoever always says the same, or answers at random, does not.
2. So the reliability of a client is the slope of "said wrong" on that probability: 1 for the truth, 1 - 2e
   with a share e of false feedback, 0 for what carries no information. For two classes it is Youden's J
   (1950), and paying for this correlation alone is what makes the truth pay (Shnayder, Agarwal, Frongillo and
   Parkes 2016). Its estimate is a ridge regression with forgetting. A label counts as much as this estimate
   less DOUBT of its standard errors: nothing at first, and nothing under any number of new names.
3. A client can know which answers were tested, and lie about the others only. So their slope is estimated
   apart, from 1 downwards, and all of them count at most EARNED for each comparison that the agent made.
4. Two cumulative sums (Page 1954) watch the tested answers of each client, for "right" where "wrong" was due,
   and for "wrong" where "right" was due. At LIMIT the client is ignored until a person trusts it. If it
   contradicts as often as `wrong_by_honest` allows, there is one false alarm in at least exp(LIMIT) = 1000
   tested answers of each kind (Lorden 1971); if it contradicts less often, far fewer.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

CLIENTS: Final = 256  # clients that are remembered; the one that was silent longest is forgotten
KEPT: Final = 0.995  # of the evidence on a client, from one of its labels to the next: a memory of 200 labels
SPREAD: Final = 0.12  # variance of a label around what is expected of it
RIDGE: Final = 0.5  # precision of "the slope is 0" before the first label, in units of 1 / SPREAD
DOUBT: Final = 1.0  # standard errors by which a slope is underrated
UNTESTED_RIDGE: Final = 0.3  # precision of "the slope of untested answers is 1", in units of 1 / SPREAD
EARNED: Final = 3.0  # weight of untested labels that one comparison of the agent's own allows
MOST_EARNED: Final = 30.0  # of that weight, which may be saved
LIMIT: Final = math.log(1000.0)  # of a cumulative sum, in nats; a false alarm in 1000 tested answers or more
FEWER: Final = 5.0  # a liar says what is due this many times more rarely than a client that may err
SCRUTINY: Final = 4.0  # times as many audits of the answers about which somebody gives feedback


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, extra="forbid")


class _Slope(_Part):
    """Sums of a regression of "said wrong" (y) on the probability of that (x)."""

    n: float = Field(0.0, ge=0)
    x: float = 0.0
    y: float = 0.0
    xx: float = Field(0.0, ge=0)
    xy: float = 0.0

    def learn(self, x: float, y: float) -> None:
        for name, value in (("n", 1.0), ("x", x), ("y", y), ("xx", x * x), ("xy", x * y)):
            setattr(self, name, KEPT * getattr(self, name) + value)

    def estimate(self, prior: float, ridge: float) -> tuple[float, float]:
        """Returns the slope and its standard error."""
        spread = max(0.0, self.xx - self.x**2 / self.n) if self.n else 0.0
        along = self.xy - self.x * self.y / self.n if self.n else 0.0
        return (ridge * prior + along) / (ridge + spread), math.sqrt(SPREAD / (ridge + spread))


class _Client(_Part):
    """What is known of one client.

    Attributes:
        every, untested: slopes over all its labels, and over those of untested answers.
        kind, harsh: the cumulative sums of "right" and of "wrong" that were not due, in nats.
        tested, contradicted: counts, for people.
    """

    every: _Slope = Field(default_factory=_Slope)
    untested: _Slope = Field(default_factory=_Slope)
    kind: float = Field(0.0, ge=0)
    harsh: float = Field(0.0, ge=0)
    tested: int = Field(0, ge=0)
    contradicted: int = Field(0, ge=0)
    ignored: bool = False


class _State(_Part):
    clients: dict[str, _Client] = Field(default_factory=dict)
    earned: float = Field(0.0, ge=0, le=MOST_EARNED)


class FeedbackTrust:
    """The reliability of each client that gives feedback.

    Args:
        trusted: clients that are always believed, whatever they say.
    """

    def __init__(self, trusted: Collection[str] = ()) -> None:
        self._trusted = frozenset(trusted)
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._earned = 0.0
        self._watched: OrderedDict[str, None] = OrderedDict()

    def apply(self, trusted: Collection[str]) -> None:
        """Trusts these clients and no others; what is known of a client that was ignored begins anew."""
        for client in self._trusted.symmetric_difference(trusted):
            if self.ignores(client) or client in trusted:
                self._clients.pop(client, None)
        self._trusted = frozenset(trusted)

    def compared(self) -> None:
        """Records that the agent compared an answer by itself."""
        self._earned = min(MOST_EARNED, self._earned + EARNED)

    def watch(self, asker: str) -> None:
        """Records that somebody gives feedback on the answers to a client's questions."""
        self._watched[asker] = None
        self._watched.move_to_end(asker)
        if len(self._watched) > CLIENTS:
            self._watched.popitem(last=False)

    def scrutiny(self, asker: str) -> float:
        """Returns how many times as often the answers to a client's questions should be audited."""
        return SCRUTINY if asker in self._watched else 1.0

    def observe(self, client: str, told_correct: bool, p_wrong: float | None, *, tested: bool) -> bool:
        """Learns from one feedback; to be called before its `weight`.

        Args:
            p_wrong: probability that the answer is wrong, by what the agent knows by itself; None if it knows
                nothing.
            tested: the probability is from a comparison of two answers.

        Returns:
            Whether the client is ignored from now on.
        """
        if client in self._trusted or p_wrong is None:
            return False
        held = self._held(client)
        held.every.learn(p_wrong, float(not told_correct))
        if not tested:
            held.untested.learn(p_wrong, float(not told_correct))
            return False
        held.tested += 1
        held.contradicted += told_correct == (p_wrong > 0.5)
        least, most = wrong_by_honest(p_wrong)
        if p_wrong > 0.5:
            held.kind = max(0.0, held.kind + _evidence(least, not told_correct))
        else:
            held.harsh = max(0.0, held.harsh + _evidence(1.0 - most, told_correct))
        was, held.ignored = held.ignored, held.ignored or max(held.kind, held.harsh) >= LIMIT
        return held.ignored and not was

    def weight(self, client: str, *, tested: bool) -> float:
        """Returns how much the client's next label counts, from 0 to 1.

        That of an untested answer is spent from what all clients together may use.
        """
        if client in self._trusted:
            return 1.0
        held = self._clients.get(client)
        if held is None or held.ignored:
            return 0.0
        slope, error = held.every.estimate(0.0, RIDGE)
        weight = min(1.0, max(0.0, slope - DOUBT * error))
        if tested:
            return weight
        slope, _ = held.untested.estimate(1.0, UNTESTED_RIDGE)
        weight = min(weight * min(1.0, max(0.0, slope)), self._earned)
        self._earned -= weight
        return weight

    def ignores(self, client: str) -> bool:
        """Returns whether a client is ignored."""
        held = self._clients.get(client)
        return held is not None and held.ignored and client not in self._trusted

    def contradictions(self, client: str) -> tuple[int, int]:
        """Returns how many of a client's tested labels contradicted the reference, and how many there are."""
        held = self._clients.get(client, _Client())
        return held.contradicted, held.tested

    def snapshot(self) -> dict[str, Any]:
        """Returns what was learned, for JSON."""
        return _State(clients=dict(self._clients), earned=self._earned).model_dump()

    def restore(self, snapshot: object) -> None:
        """Restores a snapshot.

        Raises:
            ValueError: it is not a snapshot of this class.
        """
        state = _State.model_validate(snapshot)
        self._clients = OrderedDict(list(state.clients.items())[-CLIENTS:])
        self._earned = state.earned

    def _held(self, client: str) -> _Client:
        held = self._clients.setdefault(client, _Client())
        self._clients.move_to_end(client)
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return held


def wrong_by_honest(p_wrong: float) -> tuple[float, float]:
    """Returns how often, at least and at most, a client may say "wrong" that means well.

    The reference errs, and a client too: half of the answers that should be wrong may be right, and three
    times as many as expected of those that should be right may be wrong, and a tenth more.
    """
    return p_wrong / 2, min(0.9, 3 * p_wrong + 0.1)


def _evidence(least: float, as_due: bool) -> float:
    """Log-likelihood ratio of a liar and a client that says what is due at least so often."""
    if as_due:
        return -math.log(FEWER)
    return math.log((1.0 - least / FEWER) / (1.0 - least))
