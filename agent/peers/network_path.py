"""Estimates the network path to one server from pings and from every real transfer.

1. Round-trip time and upload time per kB are smoothed as TCP smooths its round-trip time (RFC 6298).
2. A sample is suspicious if it differs from the mean by more than JUMP deviations and by more than a quarter
   of the mean, or if a round trip is long enough to include a TCP retransmission. It is not used yet, and the
   path is probed again soon. If the next sample is suspicious too, that one replaces the estimate: a changed
   path is accepted within two probes. If not, the first sample was an outlier.
3. An outlier is added to the mean after the next sample. But if it exceeds the mean round trip by at least
   TCP's minimum retransmission time, it is counted as a lost segment and not added to the mean.
4. The time that the server reports is subtracted first and estimated separately, so that a slow server is not
   mistaken for a slow path. Path and server are each slow in comparison with their own mean over about the
   last hundred samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from agent.smoothing import Smoothed
from controller import LinkState
from vlm.client import Ping

USUAL_GAIN = 1 / 100
SLOW = 2.0  # times the usual mean
JUMP = 4.0
MIN_PROBE_BYTES = 8_192  # with fewer bytes the round trip dominates the upload time
MIN_UPLOAD_SHARE = 0.1  # of a transfer's time; a shorter upload is within the noise of the round trip
LOSS_GAIN = 1 / 16
MIN_RETRANSMISSION_MS = 200.0  # of TCP on Linux
SEGMENTS_OF_A_PING = 2.0


@dataclass
class _Robust:
    """A smoothed mean that a single outlier does not move.

    Attributes:
        usual: mean over about the last hundred samples.
        suspect: a suspicious sample, until the next one shows whether it was an outlier.
        max_excess: a sample that exceeds the mean by this much is always suspicious.
    """

    smoothed: Smoothed = field(default_factory=Smoothed)
    usual: float | None = None
    suspect: float | None = None
    max_excess: float = math.inf

    @property
    def mean(self) -> float | None:
        return self.smoothed.mean

    def observe(self, sample: float) -> float | None:
        """Learns from a sample.

        Returns:
            The sample before it, if this one shows that the one before was an outlier.
        """
        mean = self.mean
        if mean is None:
            self.smoothed.observe(sample)
            self.usual = sample
            return None
        error = sample - mean
        suspicious = abs(error) > max(JUMP * self.smoothed.deviation, mean / 4) or error >= self.max_excess
        if suspicious and self.suspect is None:
            self.suspect = sample
            return None
        if suspicious:
            self.smoothed.mean, self.smoothed.deviation, self.suspect = sample, sample / 16, None
        else:
            self.smoothed.observe(sample)
        outlier, self.suspect = self.suspect, None
        return outlier

    def update_usual(self) -> None:
        """Moves the usual mean towards the present one."""
        if self.mean is not None and self.usual is not None:
            self.usual += USUAL_GAIN * (self.mean - self.usual)

    @property
    def slow(self) -> bool:
        """Whether the present mean is far above the usual one."""
        return self.mean is not None and self.usual is not None and self.mean > SLOW * self.usual


class PathEstimator:
    """Estimates the path to one server, and the server's own time.

    Args:
        probed: whether pings measure the round trip; if not, small requests do.
    """

    def __init__(self, *, probed: bool = True) -> None:
        self._rtt_ms = _Robust(max_excess=MIN_RETRANSMISSION_MS)
        self._ms_per_kb = _Robust()
        self._server_ms = _Robust()
        self._loss = 0.0
        self._probed = probed

    @property
    def unsure(self) -> bool:
        """Whether the last sample was suspicious, so that the next one should come soon."""
        return self._rtt_ms.suspect is not None or self._ms_per_kb.suspect is not None

    @property
    def slow(self) -> Literal["link", "peer", "both"] | None:
        """The part that needs more than SLOW times its usual time; None if neither does."""
        link = self._rtt_ms.slow or self._ms_per_kb.slow
        if self._server_ms.slow:
            return "both" if link else "peer"
        return "link" if link else None

    @property
    def server_ms(self) -> float | None:
        """The server's time for a real request, including its queue, in milliseconds; None if unknown."""
        return self._server_ms.mean

    def observe_ping(self, ping: Ping) -> None:
        """Learns the round trip from a ping without bytes, or the rate from one with bytes."""
        network_ms = max(0.0, ping.rtt_ms - (ping.server_ms or 0.0))
        if ping.sent_bytes:
            self.observe_transfer(ping.sent_bytes, network_ms)
            return
        self._loss -= LOSS_GAIN * self._loss
        self._observe_round_trip(network_ms)

    def observe_transfer(self, sent_bytes: int, network_ms: float, server_ms: float | None = None) -> None:
        """Learns from a request that carried `sent_bytes` and spent `network_ms` outside the server."""
        if server_ms is not None:
            _observe(self._server_ms, server_ms)
        if sent_bytes < MIN_PROBE_BYTES:
            if not self._probed:
                self._observe_round_trip(network_ms)
            return
        if self._rtt_ms.mean is None and self._probed:
            return
        upload_ms = max(network_ms - (self._rtt_ms.mean or 0.0), MIN_UPLOAD_SHARE * network_ms, 1e-3)
        _observe(self._ms_per_kb, upload_ms / (sent_bytes / 1e3))

    def observe_loss(self, share: float = 1.0) -> None:
        """Learns from a probe that got no answer, or that lost a `share` of its segments."""
        self._loss += LOSS_GAIN * share * (1.0 - self._loss)

    def state(self) -> LinkState:
        """Returns the present estimate."""
        per_kb = self._ms_per_kb.mean
        return LinkState(
            rtt_ms=self._rtt_ms.mean,
            jitter_ms=None if self._rtt_ms.mean is None else self._rtt_ms.smoothed.deviation,
            uplink_mbps=None if per_kb is None else 8.0 / per_kb,
            loss=self._loss,
        )

    def _observe_round_trip(self, network_ms: float) -> None:
        outlier = self._rtt_ms.observe(network_ms)
        if outlier is not None and self._rtt_ms.mean is not None:
            if outlier - self._rtt_ms.mean >= MIN_RETRANSMISSION_MS:
                self.observe_loss(1.0 / SEGMENTS_OF_A_PING)
            else:
                self._rtt_ms.smoothed.observe(outlier)
        self._rtt_ms.update_usual()


def is_late(network_ms: float, link: LinkState, sent_bytes: int) -> bool:
    """Returns whether a request spent far more time outside its server than the estimate predicts."""
    if link.rtt_ms is None:
        return False
    upload_ms = 8e-3 * sent_bytes / link.uplink_mbps if link.uplink_mbps else 0.0
    return network_ms > 2.0 * (link.rtt_ms + upload_ms) + 4.0 * (link.jitter_ms or 0.0)


def _observe(estimate: _Robust, sample: float) -> None:
    outlier = estimate.observe(sample)
    if outlier is not None:
        estimate.smoothed.observe(outlier)
    estimate.update_usual()


class Paths:
    """Keeps the estimator of every path in use; `probed` as in PathEstimator."""

    def __init__(self, *, probed: bool = True) -> None:
        self._probed = probed
        self._estimators: dict[str, PathEstimator] = {}

    def to(self, server: str) -> PathEstimator:
        """Returns the estimator of the path to `server`, a new one for a new server."""
        return self._estimators.setdefault(server, PathEstimator(probed=self._probed))

    def observe(self, server: str, ping: Ping) -> bool:
        """Learns from a probe of the path to `server`; returns whether another should follow soon."""
        estimator = self.to(server)
        estimator.observe_ping(ping)
        return estimator.unsure

    def lost(self, server: str) -> None:
        """Learns from a probe of the path to `server` that got no answer in time."""
        self.to(server).observe_loss()

    def forget(self, server: str) -> None:
        """Removes the estimate of a path that no longer exists."""
        self._estimators.pop(server, None)
