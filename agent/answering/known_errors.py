"""How likely an answer that was sent is wrong, by what the agent knows of it without feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.agreement.agreement import SURE_DIFFERENT, SURE_SAME
from agent.answering.arms import Attempt
from agent.answering.comparing import Comparison

# Constants, and not what the controller has learned of it: that is learned from feedback.
WRONG_IF_AGREED: Final = 0.1
WRONG_IF_IT_DIFFERS: Final = 0.85  # an answer that differs from that of a better model
WRONG_THOUGH_BETTER: Final = 0.2  # the answer of the better model, where the other's differs


@dataclass(frozen=True)
class KnownError:
    """What is known of an answer by comparing it with another, or from the policy's estimate.

    Attributes:
        p_wrong: probability that it is wrong; None where nothing is known.
        tested: it was compared with another answer, and the comparison is sure.
    """

    p_wrong: float | None = None
    tested: bool = False


NOTHING_KNOWN: Final = KnownError()


def known_error(
    attempts: Sequence[Attempt],
    chosen: int,
    comparisons: Sequence[Comparison],
    *,
    audited: bool,
    p_differs: float | None,
) -> KnownError:
    """Compares the answer that was sent with one of another tier, or with that of its audit.

    Args:
        attempts: those whose answers may be used for a test, the audit last.
        chosen: place of the attempt whose answer was sent.
        comparisons: of these attempts, and perhaps of later ones.
        p_differs: how likely that answer differs from the reference's, as it was estimated when it was sent.
    """
    sent, last = attempts[chosen].execution.arm, len(attempts) - 1
    for comparison in sorted(comparisons, key=lambda comparison: comparison.places, reverse=True):
        if chosen not in comparison.places or max(comparison.places) > last:
            continue
        other = sum(comparison.places) - chosen
        checks = other == last if audited else attempts[other].execution.arm.tier != sent.tier
        if checks and not SURE_DIFFERENT < comparison.p_same < SURE_SAME:
            better = sent.tier == "cloud" and not audited
            return KnownError(_p_wrong(1.0 - comparison.p_same, better=better), tested=True)
    return KnownError(None if p_differs is None else _p_wrong(p_differs, better=False), tested=False)


def _p_wrong(p_differs: float, *, better: bool) -> float:
    wrong = WRONG_THOUGH_BETTER if better else WRONG_IF_IT_DIFFERS
    return p_differs * wrong + (1.0 - p_differs) * WRONG_IF_AGREED
