"""Figures of policies with 95% intervals, all from the same resamples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.replay.bootstrap import Resampler, Totals, interval
from lab.report.findings import Findings
from lab.report.plan import Key
from lab.report.table import PERCENT, SIGNED, Cell, number

DRAWS: Final = 1000
Figure = Callable[[Totals], NDArray[np.float64]]


class Intervals:
    """Computes figures of steady replays; resamples are shared, so that differences are paired."""

    def __init__(self, findings: Findings) -> None:
        seeds, groups, _ = findings.sums[findings.plan.ours].shape
        self.resampler = Resampler(seeds, groups, draws=DRAWS)
        self._findings = findings
        self._totals: dict[Key, tuple[Totals, Totals]] = {}

    def totals(self, key: Key) -> tuple[Totals, Totals]:
        """Returns the totals of the sample and of its resamples."""
        if key not in self._totals:
            sums = self._findings.sums[key]
            self._totals[key] = self.resampler.sample(sums), self.resampler.resamples(sums)
        return self._totals[key]

    def cell(self, key: Key, figure: Figure, form: str) -> Cell:
        """Returns a figure of one policy."""
        sample, drawn = self.totals(key)
        return number(float(figure(sample)), form, interval(figure(drawn)))

    def relative(self, key: Key, base: Key, name: str) -> Cell:
        """Returns the relative difference of a measure from another policy's, paired."""
        (own, own_drawn), (other, other_drawn) = self.totals(key), self.totals(base)
        value = float(own.mean(name) / other.mean(name) - 1)
        return number(value, SIGNED, interval(own_drawn.mean(name) / other_drawn.mean(name) - 1))

    def saving(self, key: Key, base: Key, bound: Key, name: str) -> Cell:
        """Returns a policy's saving against `base`, as a share of the saving of `bound`, paired."""
        parts = [self.totals(policy) for policy in (key, base, bound)]

        def share(totals: list[Totals]) -> NDArray[np.float64]:
            own, most, least = (t.mean(name) for t in totals)
            return np.asarray((most - own) / (most - least))

        value = share([sample for sample, _ in parts])
        return number(float(value), PERCENT, interval(share([drawn for _, drawn in parts])))
