"""All that happens to a replay whatever a policy does: the same for every policy with the same seed."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.context import LinkState
from controller.link import path_ms
from controller.settings import LinkDefaults
from lab.sim.cost_profile import CostProfile
from lab.sim.dataset import Dataset, Matrix
from lab.sim.drift_scripts import Conditions, Script
from lab.sim.question_pools import pool_rows

PROBE_NOISE, PROBE_GAIN = 0.1, 0.5  # of what a probe of the link measures, in its logarithm
DEFAULTS = LinkDefaults()


@dataclass(frozen=True)
class Telling:
    """Who tells whether an answer was right: a share of the questions, after a delay with this mean."""

    share: float = 0.1
    mean_delay_s: float = 30.0


class Stream:
    """Questions with their arrivals and all noise, drawn once: common random numbers.

    Args:
        dataset: where the questions come from, without replacement while they last.
        count: number of questions.
        telling: how much feedback there is.
    """

    def __init__(
        self,
        dataset: Dataset,
        profile: CostProfile,
        script: Script,
        *,
        count: int,
        seed: int,
        telling: Telling | None = None,
    ) -> None:
        rng = np.random.default_rng((seed, 71))
        telling = telling or Telling()
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
        self.path_noise: list[list[float]] = np.exp(
            profile.path.jitter * rng.standard_normal((count, arms))
        ).tolist()
        self.spoilt: list[float] = rng.random(count).tolist()
        self.told: list[bool] = (rng.random(count) < telling.share).tolist()
        self.told_after_s: list[float] = rng.exponential(telling.mean_delay_s, count).tolist()
        self._probe_noise = np.exp(PROBE_NOISE * rng.standard_normal((self._probes, 2)))

    def conditions(self, now: float) -> Conditions:
        """The world at a time."""
        return self.script.phases[bisect_right(self._phase_times, now)].conditions

    def answer(self, number: int, column: int, now: float) -> tuple[str, bool]:
        """What an arm answers to a question, and whether that is right."""
        row = self.rows[number]
        answer, correct = self.dataset.answers[row][column], bool(self.dataset.correct[row, column])
        if self.dataset.arms[column].tier == "cloud" and correct:
            wrong = self.conditions(now).cloud_wrong
            if wrong and self.spoilt[number] < wrong:
                return f"not {answer}", False
        return answer, correct

    def correct(self) -> Matrix:
        """What would be right at each question's arrival, shape (count, arms), 1 or 0."""
        columns = range(len(self.dataset.arms))
        return np.array(
            [[float(self.answer(i, c, self.arrivals[i])[1]) for c in columns] for i in range(self.count)]
        )

    def link(self, now: float) -> LinkState | None:
        """What probes had measured of the link by a time; None when the last one got no answer."""
        return self._links[min(int(now / self.profile.probe_s), len(self._links) - 1)]

    def true_path(self, now: float, payload_bytes: int) -> tuple[float, float]:
        """The round trip and the time to push a payload out, in ms, before noise."""
        path, conditions = self.profile.path, self.conditions(now)
        uplink = min(path.uplink_mbps, conditions.uplink_mbps or math.inf)
        link = LinkState(rtt_ms=path.rtt_ms * conditions.rtt_factor, uplink_mbps=uplink, loss=path.loss)
        return path_ms(link, payload_bytes, DEFAULTS)

    @property
    def _probes(self) -> int:
        return int(self.arrivals[-1] / self.profile.probe_s) + 2

    @cached_property
    def _links(self) -> list[LinkState | None]:
        found: list[LinkState | None] = []
        path, held = self.profile.path, None
        for number, noise in enumerate(self._probe_noise.tolist()):
            conditions = self.conditions(number * self.profile.probe_s)
            if conditions.down or self.profile.offline:
                found.append(None)
                continue
            uplink = min(path.uplink_mbps, conditions.uplink_mbps or math.inf)
            seen = (math.log(path.rtt_ms * conditions.rtt_factor * noise[0]), math.log(uplink * noise[1]))
            held = (
                seen
                if held is None
                else (held[0] + PROBE_GAIN * (seen[0] - held[0]), held[1] + PROBE_GAIN * (seen[1] - held[1]))
            )
            found.append(LinkState(math.exp(held[0]), None, math.exp(held[1]), path.loss))
        return found

    def _draw_rows(self, rng: np.random.Generator) -> list[int]:
        rows: list[int] = []
        ends = [*self.starts[1:], self.count]
        left: dict[str, list[int]] = {}
        for phase, start, end in zip(self.script.phases, self.starts, ends, strict=True):
            pool = phase.conditions.pool
            for _ in range(end - start):
                if not left.get(pool):
                    left[pool] = rng.permutation(pool_rows(self.dataset, pool)).tolist()
                rows.append(left[pool].pop())
        return rows
