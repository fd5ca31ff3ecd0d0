"""The latest readings of every source, smoothed, each with its age, laid together into one state.

1. A reading that says how busy something is, or what it draws, is smoothed with a time constant: a sample
   that comes dt after the last one moves it by 1 - exp(-dt / smoothing_s). The others stand as they came.
2. Where several sources tell the same, the one that stands first among them does.
3. A reading that has not come again for STALE samples of its source, and LEAST_STALE_S, is none any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from agent.sensing.sample import Sample
from controller.context import DeviceState

STALE = 5.0
LEAST_STALE_S = 2.0
SMOOTHED = frozenset({"power_w", "rails_w", "cpu_load", "gpu_load"})
NAMES = tuple(field.name for field in fields(Sample))


@dataclass(frozen=True)
class Reading:
    """A value as one source told it last.

    Attributes:
        at: seconds on the monotonic clock.
        stale_s: age beyond which it is none.
    """

    value: Any
    source: str
    at: float
    stale_s: float


class Readings:
    """What the sources of the given names told, of which the first ones are believed most."""

    def __init__(self, sources: Sequence[str], *, smoothing_s: float) -> None:
        self._smoothing_s = smoothing_s
        self._held: dict[str, dict[str, Reading]] = {name: {} for name in sources}

    def take(self, source: str, sample: Sample, *, now: float, every_s: float) -> None:
        """Take in a sample of `source`, which is sampled each `every_s` seconds."""
        held = self._held[source]
        for name in NAMES:
            value = getattr(sample, name)
            if value is None or (isinstance(value, Mapping) and not value):
                continue
            before = held.get(name)
            if name in SMOOTHED and before is not None and now - before.at <= before.stale_s:
                value = self._smooth(before.value, value, now - before.at)
            held[name] = Reading(value, source, now, max(LEAST_STALE_S, STALE * every_s))

    def get(self, name: str, now: float) -> Reading | None:
        """The reading of that name (a field of Sample) that stands now."""
        for held in self._held.values():
            reading = held.get(name)
            if reading is not None and now - reading.at <= reading.stale_s:
                return reading
        return None

    def covers(self, source: str, now: float) -> bool:
        """Whether all that `source` ever told comes from sources before it now, so that it may rest."""
        held = self._held[source]
        told = [self.get(name, now) for name in held]
        before = list(self._held)[: list(self._held).index(source)]
        return bool(held) and all(reading is not None and reading.source in before for reading in told)

    def all(self, now: float) -> dict[str, Reading]:
        """Every reading that stands now, by its name."""
        standing = ((name, self.get(name, now)) for name in NAMES)
        return {name: reading for name, reading in standing if reading is not None}

    def state(self, now: float) -> DeviceState:
        """What the controller is told."""

        def value(name: str) -> Any:
            reading = self.get(name, now)
            return None if reading is None else reading.value

        return DeviceState(
            cpu_load=value("cpu_load"),
            gpu_load=value("gpu_load"),
            memory_available_mb=value("memory_available_mb"),
            temp_c=max((value("temps_c") or {}).values(), default=None),
            battery_pct=value("battery_pct"),
            power_w=value("power_w"),
            clock_ratio=lowest(value("clock_ratio"), value("gpu_clock_ratio")),
            throttled=value("throttled"),
            power_mode=value("power_mode"),
            memory_pressure=value("memory_pressure"),
        )

    def _smooth(self, before: Any, value: Any, elapsed_s: float) -> Any:
        step = 1.0 if self._smoothing_s <= 0 else 1.0 - math.exp(-elapsed_s / self._smoothing_s)
        if isinstance(value, Mapping):
            return {key: _towards(before.get(key, new), new, step) for key, new in value.items()}
        return _towards(before, value, step)


def lowest(*ratios: float | None) -> float | None:
    """The least of those that are known."""
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def _towards(before: float, value: float, step: float) -> float:
    return before + step * (value - before)
