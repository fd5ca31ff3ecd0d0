"""Estimates what another floor, or other weights, would have changed, from the agent's own decision log.

1. The decision that is replayed is whether an answer of the board is kept, or the cloud is asked too: there
   the log has propensities, because kept answers are audited at random. Which tier is asked first is not
   random, so it stays as it was.
2. The rule that is replayed keeps an answer iff

       price * (loss of keeping it - loss of the cloud's answer) <= w_latency * latency + w_energy * energy
                                                                    + w_money

   with the predictions of that time, as the controller's escalate rule does. The price is the lowest with
   which the answers are expected to keep the floor, on average over the log.
3. Its value is estimated doubly robustly: the prediction, plus the error of the prediction where the outcome
   was seen, divided by the probability of seeing it (Dudik, Langford and Li 2011, "Doubly robust policy
   evaluation and learning"). It is unbiased if the propensities are right, also where predictions are wrong.
4. The interval is mean +- 1.96 standard errors. For the accuracy, the variance is the larger of the one that
   the log shows and the one that the predictions say it should show: few answers differ, so a log may have
   none by chance. Without enough audits there is no estimate but a reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.reporting.logged_decision import BoardFirst, Call, CloudFirst
from controller import Weights

Z95: Final = 1.96
LEAST_ANSWERS: Final = 100
LEAST_SEEN: Final = 10
NEGLIGIBLE: Final = 0.005  # share of the answers that may go another way without one that shows where to
BLIND: Final = 0.05  # share of the answers of whose accuracy nothing may be known but predictions
Logged = BoardFirst | CloudFirst
Row = tuple[float, float, float, float, float]  # board share, latency, energy, cloud calls, accuracy kept


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval."""

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class Value:
    """What a rule is worth, per answer.

    Attributes:
        board_share: share of the answers that are the board's.
        cloud_calls: calls of the cloud before the reply.
        kept: share of the reference's accuracy that is kept.
    """

    board_share: Interval
    latency_ms: Interval
    energy_j: Interval
    cloud_calls: Interval
    kept: Interval


@dataclass(frozen=True)
class Replayed:
    """The estimate of a rule.

    Attributes:
        newly_asked, newly_kept: answers for which the cloud is asked now and was not, and the reverse.
        seen: of those newly asked, how many were audited.
        value: None if the log cannot say it.
        problem: why it cannot; None if it can.
    """

    floor: float
    newly_asked: int
    newly_kept: int
    seen: int
    value: Value | None
    problem: str | None


def as_it_was(log: Sequence[Logged]) -> Value:
    """Returns the value of what was done."""
    return _value(log, lambda answer: answer.escalated, harm(log))


def what_if(log: Sequence[Logged], floor: float, weights: Weights) -> Replayed:
    """Returns the estimate for another floor and other weights."""
    factor = harm(log)
    asked = _asked(log, floor, weights, factor)
    board = [answer for answer in log if isinstance(answer, BoardFirst)]
    newly_asked = [answer for answer in board if id(answer) in asked and not answer.escalated]
    newly_kept = sum(answer.escalated and id(answer) not in asked for answer in board)
    seen = sum(answer.cloud is not None for answer in newly_asked)
    kept = [answer for answer in board if id(answer) not in asked]
    problem = _problem(log, newly_asked, seen, kept)
    value = None if problem else _value(log, lambda answer: id(answer) in asked, factor)
    return Replayed(floor, len(newly_asked), newly_kept, seen, value, problem)


def harm(log: Sequence[Logged]) -> float:
    """Returns the share of the reference's accuracy that is lost by each answer that differs.

    Not every answer that differs is wrong. Before an answer of the board, the controller predicts the loss;
    after it, the probability that it differs. Over all answers the two must agree.
    """
    board = [answer for answer in log if isinstance(answer, BoardFirst)]
    differ = sum(answer.p_differs for answer in board)
    return sum(answer.loss for answer in board) / differ if differ > 0 else 1.0


def _asked(log: Sequence[Logged], floor: float, weights: Weights, factor: float) -> set[int]:
    """Returns the answers after which the cloud is asked, by `id`, at the lowest price for the floor."""
    board = [answer for answer in log if isinstance(answer, BoardFirst)]
    loss = sum(factor * a.p_differs if isinstance(a, BoardFirst) else a.loss for a in log)
    gains = [(factor * answer.p_differs - answer.cloud_loss, answer) for answer in board]
    useful = [(gain, answer) for gain, answer in gains if gain > 0]
    useful.sort(key=lambda found: _cost(found[1].expected, weights) / found[0])  # by the price at which
    asked = set()
    for gain, answer in useful:
        if loss <= (1.0 - floor) * len(log):
            break
        asked.add(id(answer))
        loss -= gain
    return asked


def _cost(call: Call, weights: Weights) -> float:
    return (
        weights.latency_per_s * call.latency_ms / 1e3
        + weights.energy_per_j * call.energy_j
        + weights.money_per_call
    )


def _problem(
    log: Sequence[Logged], newly_asked: list[BoardFirst], seen: int, kept: list[BoardFirst]
) -> str | None:
    """Returns why the log cannot say what the rule is worth; None if it can."""
    if len(log) < LEAST_ANSWERS:
        return f"the log has {len(log):,} answers that can be used, and {LEAST_ANSWERS} are needed"
    never = sum(answer.p_seen <= 0 for answer in newly_asked)
    if len(newly_asked) > NEGLIGIBLE * len(log) and (seen < LEAST_SEEN or never > BLIND * len(log)):
        return (
            f"the cloud would be asked after {len(newly_asked):,} more answers, and only {seen} of these "
            f"were audited: {LEAST_SEEN} are needed"
        )
    blind = sum(answer.p_seen <= 0 for answer in kept)
    if blind > BLIND * len(log):
        return f"{blind:,} answers that would be kept could never be audited, so their accuracy is not known"
    checked = sum(answer.differed is not None for answer in kept)
    if kept and checked < LEAST_SEEN:
        return (
            f"of {len(kept):,} answers that would be kept only {checked} were compared with the cloud's: "
            f"{LEAST_SEEN} are needed"
        )
    return None


def _value(log: Sequence[Logged], asks: Callable[[BoardFirst], bool], factor: float) -> Value:
    rows = [
        (0.0, answer.cloud.latency_ms, answer.cloud.energy_j, 1.0, 1.0 - answer.loss)
        if isinstance(answer, CloudFirst)
        else _asking(answer)
        if asks(answer)
        else _keeping(answer, factor)
        for answer in log
    ]
    board_share, latency_ms, energy_j, cloud_calls, kept = zip(*rows, strict=True)
    expected = [
        (1.0 - answer.loss, 0.0)
        if isinstance(answer, CloudFirst)
        else (1.0 - answer.cloud_loss, 0.0)
        if asks(answer)
        else _expected(answer, factor)
        for answer in log
    ]
    least = _variance([mean for mean, _ in expected]) + sum(found for _, found in expected) / len(expected)
    return Value(
        board_share=_interval(board_share),
        latency_ms=_interval(latency_ms),
        energy_j=_interval(energy_j),
        cloud_calls=_interval(cloud_calls),
        kept=_interval(kept, least),
    )


def _expected(answer: BoardFirst, factor: float) -> tuple[float, float]:
    """Returns mean and variance of what `_keeping` estimates of the accuracy, by the predictions."""
    differs = answer.p_differs
    seen = answer.p_seen if answer.p_seen > 0 else 1.0
    return 1.0 - factor * differs, factor**2 * differs * (1.0 - differs) / seen


def _keeping(answer: BoardFirst, factor: float) -> Row:
    """Returns board share, latency, energy, cloud calls and accuracy kept, if the answer is kept."""
    differs = _robust(answer.p_differs, answer.differed, answer.p_seen)
    return 1.0, answer.board.latency_ms, answer.board.energy_j, 0.0, 1.0 - factor * differs


def _asking(answer: BoardFirst) -> Row:
    """Returns the same if the cloud is asked too, and its answer is sent."""
    board, expected, seen = answer.board, answer.expected, answer.cloud
    latency_ms = _robust(expected.latency_ms, None if seen is None else seen.latency_ms, answer.p_seen)
    energy_j = _robust(expected.energy_j, None if seen is None else seen.energy_j, answer.p_seen)
    return 0.0, board.latency_ms + latency_ms, board.energy_j + energy_j, 1.0, 1.0 - answer.cloud_loss


def _robust(predicted: float, seen: float | None, p_seen: float) -> float:
    """Returns the doubly robust estimate of an outcome that is seen with the probability `p_seen`."""
    return predicted if seen is None or p_seen <= 0 else predicted + (seen - predicted) / p_seen


def _interval(values: Sequence[float], least_variance: float = 0.0) -> Interval:
    mean = sum(values) / len(values)
    half = Z95 * math.sqrt(max(_variance(values), least_variance) / len(values))
    return Interval(mean - half, mean, mean + half)


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
