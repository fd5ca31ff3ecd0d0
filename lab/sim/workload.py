"""The workload of a replay: questions, arrival times and all noise, the same for every policy."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller import LinkDefaults, LinkState
from controller.link import path_ms
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix
from lab.sim.drift_scripts import Conditions, DriftScript
from lab.sim.question_pools import pool_rows

PROBE_NOISE = 0.1  # standard deviation of the logarithm of what a probe of the link measures
PROBE_GAIN = 0.5  # weight of a new probe in the estimate of the link
DEFAULTS = LinkDefaults()


@dataclass(frozen=True)
class Feedback:
    """Which share of the answers is reported right or wrong, and the mean delay of the report."""

    share: float = 0.1
    mean_delay_s: float = 30.0


class Workload:
    """Questions, arrival times and noise, drawn once per seed: common random numbers for all policies.

    Args:
        dataset: source of the questions; each is drawn once before any is drawn again.
        count: number of questions.
        feedback: how much feedback policies receive.
    """

    def __init__(
        self,
        dataset: Dataset,
        profile: CostProfile,
        script: DriftScript,
        *,
        count: int,
        seed: int,
        feedback: Feedback | None = None,
    ) -> None:
        rng = np.random.default_rng((seed, 71))
        feedback = feedback or Feedback()
        self.dataset, self.profile, self.script, self.count = dataset, profile, script, count
        arms = len(dataset.arms)
        self.starts = script.starts(count)
        self.rows = self._draw_rows(rng)
        self.arrivals: list[float] = np.cumsum(rng.exponential(profile.gap_s, count)).tolist()
        self._phase_times = [self.arrivals[start] for start in self.starts[1:]]
        noise = np.exp(profile.spread * rng.standard_normal((count, arms)) - profile.spread**2 / 2)
        rows = self.rows
        self.compute_ms: list[list[float]] = (dataset.compute_ms[rows] * noise).tolist()
        self.payload_bytes: list[list[int]] = dataset.payload_bytes[rows].tolist()
        self.link_noise: list[list[float]] = np.exp(
            profile.link.jitter * rng.standard_normal((count, arms))
        ).tolist()
        self.spoil_draw: list[float] = rng.random(count).tolist()
        self.has_feedback: list[bool] = (rng.random(count) < feedback.share).tolist()
        self.feedback_delay_s: list[float] = rng.exponential(feedback.mean_delay_s, count).tolist()
        self._probe_noise = np.exp(PROBE_NOISE * rng.standard_normal((self._probes, 2)))

    def conditions(self, now: float) -> Conditions:
        """Returns the conditions at a time."""
        return self.script.phases[bisect_right(self._phase_times, now)].conditions

    def answer(self, number: int, column: int, now: float) -> tuple[str, bool]:
        """Returns an arm's answer to a question, and whether it is right."""
        row = self.rows[number]
        answer, correct = self.dataset.answers[row][column], bool(self.dataset.correct[row, column])
        if self.dataset.arms[column].tier == "cloud" and correct:
            wrong = self.conditions(now).cloud_wrong
            if wrong and self.spoil_draw[number] < wrong:
                return f"not {answer}", False
        return answer, correct

    def correct(self) -> Matrix:
        """Returns which arms would be right at each question's arrival, shape (count, arms), 1 or 0."""
        columns = range(len(self.dataset.arms))
        return np.array(
            [[float(self.answer(i, c, self.arrivals[i])[1]) for c in columns] for i in range(self.count)]
        )

    def link(self, now: float) -> LinkState | None:
        """Returns the link as the probes so far measured it; None if the last probe got no answer."""
        return self._links[min(int(now / self.profile.probe_s), len(self._links) - 1)]

    def true_path(self, now: float, payload_bytes: int) -> tuple[float, float]:
        """Returns the round trip and the time to send a payload, in ms, without noise."""
        nominal, conditions = self.profile.link, self.conditions(now)
        uplink = min(nominal.uplink_mbps, conditions.uplink_mbps or math.inf)
        link = LinkState(rtt_ms=nominal.rtt_ms * conditions.rtt_factor, uplink_mbps=uplink, loss=nominal.loss)
        return path_ms(link, payload_bytes, DEFAULTS)

    @property
    def _probes(self) -> int:
        return int(self.arrivals[-1] / self.profile.probe_s) + 2

    @cached_property
    def _links(self) -> list[LinkState | None]:
        """The link after each probe: round trip and uplink are smoothed in their logarithms."""
        links: list[LinkState | None] = []
        nominal, estimate = self.profile.link, None
        for number, noise in enumerate(self._probe_noise.tolist()):
            conditions = self.conditions(number * self.profile.probe_s)
            if conditions.down or self.profile.offline:
                links.append(None)
                continue
            uplink = min(nominal.uplink_mbps, conditions.uplink_mbps or math.inf)
            probe = (
                math.log(nominal.rtt_ms * conditions.rtt_factor * noise[0]),
                math.log(uplink * noise[1]),
            )
            estimate = (
                probe
                if estimate is None
                else (
                    estimate[0] + PROBE_GAIN * (probe[0] - estimate[0]),
                    estimate[1] + PROBE_GAIN * (probe[1] - estimate[1]),
                )
            )
            links.append(LinkState(math.exp(estimate[0]), None, math.exp(estimate[1]), nominal.loss))
        return links

    def _draw_rows(self, rng: np.random.Generator) -> list[int]:
        rows: list[int] = []
        ends = [*self.starts[1:], self.count]
        remaining: dict[str, list[int]] = {}
        for phase, start, end in zip(self.script.phases, self.starts, ends, strict=True):
            pool = phase.conditions.pool
            for _ in range(end - start):
                if not remaining.get(pool):
                    remaining[pool] = rng.permutation(pool_rows(self.dataset, pool)).tolist()
                rows.append(remaining[pool].pop())
        return rows
