"""The feedback that policies receive during a replay."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feedback:
    """Reports whether an answer is right.

    Attributes:
        share: of the answers that are reported.
        mean_delay_s: mean time from the answer to the report.
        wrong: share of the reports that are false.
    """

    share: float = 0.1
    mean_delay_s: float = 30.0
    wrong: float = 0.0
