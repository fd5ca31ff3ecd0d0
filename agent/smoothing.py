"""A smoothed mean and mean deviation, as TCP estimates its round-trip time (RFC 6298, section 2)."""

from __future__ import annotations

from dataclasses import dataclass

GAIN, DEVIATION_GAIN = 1 / 8, 1 / 4


@dataclass
class Smoothed:
    """Exponentially weighted mean and mean absolute deviation, in the unit of the samples.

    Attributes:
        mean: the smoothed mean; None before the first sample, unless an initial value is given.
        deviation: the smoothed absolute deviation from the mean.
        gain, deviation_gain: weight of each new sample in the mean and in the deviation, 0 to 1.
        first_deviation: deviation after the first sample, as a fraction of that sample.
    """

    mean: float | None = None
    deviation: float = 0.0
    gain: float = GAIN
    deviation_gain: float = DEVIATION_GAIN
    first_deviation: float = 0.5

    def observe(self, sample: float) -> None:
        """Moves the mean and the deviation towards `sample`; the first sample becomes the mean."""
        if self.mean is None:
            self.mean, self.deviation = sample, self.first_deviation * sample
            return
        error = sample - self.mean
        self.deviation += self.deviation_gain * (abs(error) - self.deviation)
        self.mean += self.gain * error
