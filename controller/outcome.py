"""What came of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.arm import Arm


@dataclass(frozen=True)
class Confidence:
    """What a model's own token probabilities say about its answer; None where its server tells none.

    `first_token_margin` is p(best) - p(second) at the first answer token, in [0, 1]; `mean_logprob` in nats.
    """

    first_token_margin: float | None = None
    mean_logprob: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Execution:
    """One arm's run of one question.

    Attributes:
        latency_ms: the whole call; None when it failed before an answer.
        compute_ms: the server's own share (its queue excluded), None when it does not tell.
        queue_ms: time spent in the server's queue, None when it does not tell.
        energy_j: energy the board spent on it.
        answer: normalised answer text, None when it failed.
        failure: error code of a failed run.
    """

    arm: Arm
    latency_ms: float | None
    compute_ms: float | None = None
    queue_ms: float | None = None
    energy_j: float | None = None
    answer: str | None = None
    confidence: Confidence | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Outcome:
    """Everything that was run for one decision, in order; `answered` is the execution that was sent out.

    An escalation or an audit adds the cloud's execution to the board's, which labels the board's answer.

    Attributes:
        same: P(two executions' answers say the same) by their places, the lower one first, from their texts
            alone: as if both were as likely before. Where a pair is left out, it is 1 if their `answer` is
            equal and 0 if not.
    """

    executions: tuple[Execution, ...]
    answered: int | None
    audited: bool = False
    same: Mapping[tuple[int, int], float] = field(default_factory=dict)

    def p_same(self, one: int, other: int) -> float:
        """Returns how likely two executions' answers say the same."""
        first, second = sorted((one, other))
        known = self.same.get((first, second))
        if known is not None:
            return known
        return float(self.executions[first].answer == self.executions[second].answer)
