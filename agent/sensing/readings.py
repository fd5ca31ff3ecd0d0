"""The latest readings of all sensors, smoothed, and merged into one state of the board.

1. Loads and power are smoothed with a time constant: a sample that arrives dt after the last one moves the
   value by 1 - exp(-dt / smoothing_s) of the difference. Other values are stored unchanged.
2. If several sensors report the same value, the best of them is used, or the one that is preferred because
   they disagree.
3. A reading without a new sample for STALE_INTERVALS of its sensor's intervals, and at least MIN_STALE_S, is
   stale and no longer used.
4. A value that is not finite is not a reading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from agent.sensing.sample import Sample
from controller.context import DeviceState

STALE_INTERVALS = 5.0
MIN_STALE_S = 2.0
SMOOTHED = frozenset({"power_w", "rails_w", "cpu_load", "gpu_load"})
NAMES = tuple(field.name for field in fields(Sample))


@dataclass(frozen=True)
class Reading:
    """The latest value that one sensor reported.

    Attributes:
        source: the sensor's name.
        at: monotonic time of the sample, in seconds.
        stale_s: age above which the reading is no longer used.
    """

    value: Any
    source: str
    at: float
    stale_s: float


class Readings:
    """Stores the readings of each sensor.

    Args:
        sources: names of the sensors, best first.
        smoothing_s: time constant of loads and power.
    """

    def __init__(self, sources: Sequence[str], *, smoothing_s: float) -> None:
        self._smoothing_s = smoothing_s
        self._by_source: dict[str, dict[str, Reading]] = {name: {} for name in sources}
        self._preferred: dict[str, str] = {}
        self._state: DeviceState | None = None  # until a reading changes or becomes stale
        self._state_until = -math.inf

    def update(
        self, source: str, sample: Sample, *, now: float, interval_s: float, stale_s: float | None = None
    ) -> None:
        """Stores a sample of the sensor `source`, which is sampled every `interval_s` seconds."""
        self._state = None
        readings = self._by_source[source]
        for name in NAMES:
            value = _finite(getattr(sample, name))
            if value is None or (isinstance(value, Mapping) and not value):
                continue
            before = readings.get(name)
            if name in SMOOTHED and before is not None and now - before.at <= before.stale_s:
                value = self._smooth(before.value, value, now - before.at)
            stale_after_s = stale_s or max(MIN_STALE_S, STALE_INTERVALS * interval_s)
            readings[name] = Reading(value, source, now, stale_after_s)

    def prefer(self, name: str, source: str | None) -> None:
        """Uses the reading of `source` for `name` while it is not stale; None for the best sensor's."""
        self._state = None
        self._preferred.pop(name, None)
        if source is not None:
            self._preferred[name] = source

    def of(self, source: str, name: str, now: float) -> Reading | None:
        """Returns the reading of one sensor; None if it is stale or missing."""
        reading = self._by_source[source].get(name)
        return reading if reading is not None and now - reading.at <= reading.stale_s else None

    def best(self, name: str, now: float, *, but: str | None = None) -> Reading | None:
        """Returns the reading of the best sensor other than `but`, whichever is preferred."""
        known = (self.of(source, name, now) for source in self._by_source if source != but)
        return next((reading for reading in known if reading is not None), None)

    def get(self, name: str, now: float) -> Reading | None:
        """Returns the reading of `name` to use, a field of Sample; None if all are stale or missing."""
        preferred = self._preferred.get(name)
        reading = None if preferred is None else self.of(preferred, name, now)
        return reading or self.best(name, now)

    def is_redundant(self, source: str, now: float) -> bool:
        """Returns whether better sensors report every value that `source` has reported so far."""
        reported = self._by_source[source]
        sources = list(self._by_source)
        better = sources[: sources.index(source)]
        best = [self.get(name, now) for name in reported]
        return bool(reported) and all(reading is not None and reading.source in better for reading in best)

    def all(self, now: float) -> dict[str, Reading]:
        """Returns every reading that is not stale, by its name."""
        best = ((name, self.get(name, now)) for name in NAMES)
        return {name: reading for name, reading in best if reading is not None}

    def state(self, now: float) -> DeviceState:
        """Returns the readings as the controller uses them: the hottest zone, the lowest clock ratio."""
        if self._state is None or now > self._state_until:
            stored = [reading for readings in self._by_source.values() for reading in readings.values()]
            stale_at = (reading.at + reading.stale_s for reading in stored)
            self._state = self._new_state(now)
            self._state_until = min((at for at in stale_at if at >= now), default=math.inf)
        return self._state

    def _new_state(self, now: float) -> DeviceState:
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
            return {key: _step_towards(before.get(key, new), new, step) for key, new in value.items()}
        return _step_towards(before, value, step)


def lowest(*ratios: float | None) -> float | None:
    """Returns the lowest of the known ratios; None if none is known."""
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def _step_towards(before: float, value: float, step: float) -> float:
    return before + step * (value - before)


def _finite(value: Any) -> Any:
    """Returns a value without the numbers that are not finite; None for such a number."""
    if isinstance(value, Mapping):
        return {name: number for name, number in value.items() if math.isfinite(number)}
    return None if isinstance(value, float) and not math.isfinite(value) else value
