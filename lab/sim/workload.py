"""The workload of a replay: questions, arrival times and all noise, the same for every policy."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cached_property

import numpy as np

from controller import LinkState, Tier
from lab.errors import BenchError
from lab.sim.conditions import Conditions
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix
from lab.sim.drift_scripts import DriftScript
from lab.sim.feedback import Feedback
from lab.sim.link_path import path_ms
from lab.sim.question_pools import pool_rows

PROBE_NOISE = 0.1  # standard deviation of the logarithm of what a probe of the link measures
PROBE_GAIN = 0.5  # weight of a new probe in the estimate of the link


class Workload:
    """Questions, arrival times and noise, drawn once per seed: common random numbers for all policies.

    Args:
        dataset: source of the questions; each is drawn once before any is drawn again.
        count: number of questions.
        feedback: that policies receive; None for the script's.
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
        feedback = feedback or script.feedback
        self.dataset, self.profile, self.script, self.count = dataset, profile, script, count
        arms = len(dataset.arms)
        for phase in script.phases:
            tier = phase.conditions.absent
            if tier is not None and len({arm.model for arm in dataset.arms if arm.tier == tier}) < 2:
                raise BenchError(f"the trace has only one {tier} model: {script.name} needs two")
        self.starts = script.starts(count)
        lengths = np.diff([*self.starts, count])
        self.phase = np.repeat(np.arange(len(self.starts)) % len(script.phases), lengths)
        self.rows = self._draw_rows(rng)
        gaps = rng.exponential(profile.gap_s, count) * self._by_question("gap_factor")
        self.arrivals: list[float] = np.cumsum(gaps).tolist()
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
        self.fault_draw: list[float] = rng.random(count).tolist()
        self._false_report: list[bool] = (rng.random(count) < feedback.wrong).tolist()

    def conditions(self, now: float) -> Conditions:
        """Returns the conditions at a time."""
        return self.script.phase(bisect_right(self._phase_times, now)).conditions

    def answer(self, number: int, column: int, now: float) -> tuple[str, bool]:
        """Returns an arm's answer to a question, and whether it is right."""
        row = self.rows[number]
        answer, correct = self.dataset.answers[row][column], bool(self.dataset.correct[row, column])
        conditions = self.conditions(now)
        if self.dataset.arms[column].tier == "local":
            spoilt = self.fault_draw[number] < conditions.board_wrong
        else:
            spoilt = correct and self.spoil_draw[number] < conditions.cloud_wrong
        return (f"not {answer}", False) if spoilt else (answer, correct)

    def correct(self) -> Matrix:
        """Returns which arms would be right at each question's arrival, shape (count, arms), 1 or 0."""
        spoilt = {
            "local": np.array(self.fault_draw) < self._by_question("board_wrong"),
            "cloud": np.array(self.spoil_draw) < self._by_question("cloud_wrong"),
        }
        right = self.dataset.correct[self.rows].astype(np.float64)
        for column, arm in enumerate(self.dataset.arms):
            right[spoilt[arm.tier], column] = 0.0
        return right

    def reported(self, number: int, column: int) -> bool:
        """Returns whether a report says that an arm's answer is right; some reports are false."""
        return self.answer(number, column, self.arrivals[number])[1] != self._false_report[number]

    def available(self, now: float) -> list[bool]:
        """Returns which of the dataset's arms exist at a time."""
        return self.exists(self.conditions(now))

    def exists(self, conditions: Conditions) -> list[bool]:
        """Returns which of the dataset's arms exist under some conditions."""
        return self._exists[conditions.absent]

    def link(self, now: float) -> LinkState | None:
        """Returns the link as the probes so far measured it; None if the last probe got no answer."""
        return self._links[min(int(now / self.profile.probe_s), len(self._links) - 1)]

    def true_path(self, now: float, payload_bytes: int) -> tuple[float, float]:
        """Returns the round trip and the time to send a payload, in ms, without noise."""
        nominal, conditions = self.profile.link, self.conditions(now)
        uplink = min(nominal.uplink_mbps, conditions.uplink_mbps or math.inf)
        rtt_ms = nominal.rtt_ms * conditions.rtt_factor
        return path_ms(rtt_ms=rtt_ms, uplink_mbps=uplink, loss=nominal.loss, payload_bytes=payload_bytes)

    @cached_property
    def _exists(self) -> dict[Tier | None, list[bool]]:
        """Which arms exist, by the tier whose most accurate model is absent."""
        arms = self.dataset.arms
        best = {tier: arms[self.dataset.best_column(tier)].model for tier in ("local", "cloud")}
        return {
            absent: [absent is None or (arm.tier, arm.model) != (absent, best[absent]) for arm in arms]
            for absent in (None, "local", "cloud")
        }

    def _by_question(self, condition: str) -> Matrix:
        """Returns a number of the conditions for each question, by the phase in which it arrives."""
        values = [getattr(phase.conditions, condition) for phase in self.script.phases]
        return np.array(values, dtype=np.float64)[self.phase]

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
        for part, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            pool = self.script.phase(part).conditions.pool
            for _ in range(end - start):
                if not remaining.get(pool):
                    remaining[pool] = rng.permutation(pool_rows(self.dataset, pool)).tolist()
                rows.append(remaining[pool].pop())
        return rows
