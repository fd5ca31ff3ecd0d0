"""The network path to one server, estimated from pings and from every real transfer.

Smoothed as TCP smooths its round trip (RFC 6298): gains of 1/8 for the mean and 1/4 for the deviation. Two
samples in a row that are off by more than JUMP deviations and a quarter of the mean, as both stood before the
first of them, replace the estimate: a path that changed is believed within two probes. Time that the server
says it spent is taken off first, so that a slow server does not look like a slow link.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.context import LinkState
from vlm.client import Ping

GAIN, DEVIATION_GAIN = 1 / 8, 1 / 4
JUMP = 4.0
LEAST_PROBE_BYTES = 8_192  # below this the round trip hides the rate
LOSS_GAIN = 1 / 16


@dataclass
class _Smoothed:
    mean: float | None = None
    deviation: float = 0.0
    _before: tuple[float, float] | None = None  # mean and deviation before a sample that was far off

    def add(self, sample: float) -> None:
        if self.mean is None:
            self.mean, self.deviation = sample, sample / 2
            return
        mean, deviation = self._before or (self.mean, self.deviation)
        far = abs(sample - mean) > max(JUMP * deviation, mean / 4)
        if far and self._before is not None:
            self.mean, self.deviation, self._before = sample, sample / 4, None
            return
        self._before = (mean, deviation) if far else None
        error = sample - self.mean
        self.deviation += DEVIATION_GAIN * (abs(error) - self.deviation)
        self.mean += GAIN * error


class LinkEstimator:
    """What is known of the path to one server."""

    def __init__(self) -> None:
        self._rtt = _Smoothed()
        self._ms_per_kb = _Smoothed()
        self._loss = 0.0

    def observe_ping(self, ping: Ping) -> None:
        """Take in a probe: a round trip, or an upload when it carried enough."""
        network_ms = max(0.0, ping.rtt_ms - (ping.server_ms or 0.0))
        if ping.sent_bytes:
            self.observe_transfer(ping.sent_bytes, network_ms)
        else:
            self._rtt.add(network_ms)
            self._loss -= LOSS_GAIN * self._loss

    def observe_transfer(self, sent_bytes: int, network_ms: float) -> None:
        """Take in a request that carried `sent_bytes` and spent `network_ms` outside the server."""
        if sent_bytes < LEAST_PROBE_BYTES or self._rtt.mean is None:
            return
        uploading_ms = max(network_ms - self._rtt.mean, 0.02 * network_ms, 1e-3)
        self._ms_per_kb.add(uploading_ms / (sent_bytes / 1e3))

    def observe_loss(self) -> None:
        """Take in a probe or a call that got no answer."""
        self._loss += LOSS_GAIN * (1.0 - self._loss)

    def state(self) -> LinkState:
        """The estimate now."""
        per_kb = self._ms_per_kb.mean
        return LinkState(
            rtt_ms=self._rtt.mean,
            jitter_ms=None if self._rtt.mean is None else self._rtt.deviation,
            uplink_mbps=None if per_kb is None else 8.0 / per_kb,
            loss=self._loss,
        )


class Links:
    """The estimates of every path in use."""

    def __init__(self) -> None:
        self._estimators: dict[str, LinkEstimator] = {}

    def to(self, server: str) -> LinkEstimator:
        """The estimator of the path to `server`, a fresh one when it is new."""
        return self._estimators.setdefault(server, LinkEstimator())

    def observe(self, server: str, ping: Ping) -> None:
        """Take in a probe of the path to `server`."""
        self.to(server).observe_ping(ping)

    def forget(self, server: str) -> None:
        """Drop what is known of a path that is no longer there."""
        self._estimators.pop(server, None)
