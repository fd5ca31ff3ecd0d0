"""The network path to one server, estimated from pings and from every real transfer.

1. Smoothed as TCP smooths its round trip (RFC 6298): gains of 1/8 for the mean and 1/4 for the deviation.
2. A sample that is off by more than JUMP deviations and a quarter of the mean, or late enough to be one that
   TCP sent again, is set aside, and the path is looked at again soon. When the next one is off too, it
   replaces the estimate: a path that changed is believed within two probes. When it is not, the first was an
   outlier and is smoothed in late; or, coming at least TCP's least retransmission time after what was
   expected, it was a lost segment, which counts as a loss and says nothing of delay.
3. Time that the server says it spent is taken off first and kept apart, so that a slow server is not taken
   for a slow path. Which of the two is slow is told against what each was over the last hundred samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from controller.context import LinkState
from vlm.client import Ping

GAIN, DEVIATION_GAIN = 1 / 8, 1 / 4
USUAL_GAIN = 1 / 100
SLOW = 2.0  # times what is usual
JUMP = 4.0
LEAST_PROBE_BYTES = 8_192  # below this the round trip hides the rate
LEAST_SENDING = 0.1  # share of a transfer's time: what is shorter than the round trip's noise tells no rate
LOSS_GAIN = 1 / 16
LEAST_RETRANSMISSION_MS = 200.0  # of TCP on Linux
SEGMENTS_OF_A_PING = 2.0


@dataclass
class _Smoothed:
    mean: float | None = None
    deviation: float = 0.0
    usual: float | None = None
    aside: float | None = None  # a sample that was far off, until the next one decides on it
    most_later: float = math.inf  # than the mean, for a sample not to be far off

    def add(self, sample: float) -> float | None:
        """Take in a sample; gives the one set aside when this one shows that it was an outlier."""
        if self.mean is None:
            self.mean = self.usual = sample
            self.deviation = sample / 2
            return None
        error = sample - self.mean
        far = abs(error) > max(JUMP * self.deviation, self.mean / 4) or error >= self.most_later
        if far and self.aside is None:
            self.aside = sample
            return None
        if far:
            self.mean, self.deviation, self.aside = sample, sample / 16, None
        else:
            self.smooth(sample)
        outlier, self.aside = self.aside, None
        return outlier

    def smooth(self, sample: float) -> None:
        """Move the mean and the deviation towards a sample."""
        assert self.mean is not None
        error = sample - self.mean
        self.deviation += DEVIATION_GAIN * (abs(error) - self.deviation)
        self.mean += GAIN * error

    def remember(self) -> None:
        """Move what is usual towards what is."""
        if self.mean is not None and self.usual is not None:
            self.usual += USUAL_GAIN * (self.mean - self.usual)

    @property
    def slow(self) -> bool:
        """Whether it takes far longer than is usual."""
        return self.mean is not None and self.usual is not None and self.mean > SLOW * self.usual


class PathEstimator:
    """What is known of the path to one server, and of how long the server takes.

    Args:
        probed: whether pings tell the round trip; where there are none, real requests do.
    """

    def __init__(self, *, probed: bool = True) -> None:
        self._rtt = _Smoothed(most_later=LEAST_RETRANSMISSION_MS)
        self._ms_per_kb = _Smoothed()
        self._server = _Smoothed()
        self._loss = 0.0
        self._probed = probed

    @property
    def unsure(self) -> bool:
        """Whether the last sample was so far off that the next one should come soon."""
        return self._rtt.aside is not None or self._ms_per_kb.aside is not None

    @property
    def slow(self) -> Literal["link", "peer", "both"] | None:
        """What takes more than twice as long as it usually does."""
        link = self._rtt.slow or self._ms_per_kb.slow
        if self._server.slow:
            return "both" if link else "peer"
        return "link" if link else None

    @property
    def server_ms(self) -> float | None:
        """How long the server takes for a real request, its queue included."""
        return self._server.mean

    def observe_ping(self, ping: Ping) -> None:
        """Take in a probe: a round trip, or an upload when it carried enough."""
        network_ms = max(0.0, ping.rtt_ms - (ping.server_ms or 0.0))
        if ping.sent_bytes:
            self.observe_transfer(ping.sent_bytes, network_ms)
            return
        self._loss -= LOSS_GAIN * self._loss
        self._observe_round_trip(network_ms)

    def observe_transfer(self, sent_bytes: int, network_ms: float, server_ms: float | None = None) -> None:
        """Take in a request that carried `sent_bytes` and spent `network_ms` outside the server."""
        if server_ms is not None:
            outlier = self._server.add(server_ms)
            if outlier is not None:
                self._server.smooth(outlier)
            self._server.remember()
        if sent_bytes < LEAST_PROBE_BYTES:
            if not self._probed:
                self._observe_round_trip(network_ms)
            return
        if self._rtt.mean is None and self._probed:
            return
        uploading_ms = max(network_ms - (self._rtt.mean or 0.0), LEAST_SENDING * network_ms, 1e-3)
        outlier = self._ms_per_kb.add(uploading_ms / (sent_bytes / 1e3))
        if outlier is not None:
            self._ms_per_kb.smooth(outlier)
        self._ms_per_kb.remember()

    def observe_loss(self, share: float = 1.0) -> None:
        """Take in a probe that got no answer; or one that lost a `share` of its segments."""
        self._loss += LOSS_GAIN * share * (1.0 - self._loss)

    def state(self) -> LinkState:
        """The estimate now."""
        per_kb = self._ms_per_kb.mean
        return LinkState(
            rtt_ms=self._rtt.mean,
            jitter_ms=None if self._rtt.mean is None else self._rtt.deviation,
            uplink_mbps=None if per_kb is None else 8.0 / per_kb,
            loss=self._loss,
        )

    def _observe_round_trip(self, network_ms: float) -> None:
        outlier = self._rtt.add(network_ms)
        if outlier is not None and self._rtt.mean is not None:
            if outlier - self._rtt.mean >= LEAST_RETRANSMISSION_MS:
                self.observe_loss(1.0 / SEGMENTS_OF_A_PING)
            else:
                self._rtt.smooth(outlier)
        self._rtt.remember()


def late(network_ms: float, link: LinkState, sent_bytes: int) -> bool:
    """Whether a request spent more than twice the time outside its server that the estimate tells."""
    if link.rtt_ms is None:
        return False
    sending_ms = 8e-3 * sent_bytes / link.uplink_mbps if link.uplink_mbps else 0.0
    return network_ms > 2.0 * (link.rtt_ms + sending_ms) + 4.0 * (link.jitter_ms or 0.0)


class Paths:
    """The estimates of every path in use; `probed` as of PathEstimator."""

    def __init__(self, *, probed: bool = True) -> None:
        self._probed = probed
        self._estimators: dict[str, PathEstimator] = {}

    def to(self, server: str) -> PathEstimator:
        """The estimator of the path to `server`, a fresh one when it is new."""
        return self._estimators.setdefault(server, PathEstimator(probed=self._probed))

    def observe(self, server: str, ping: Ping) -> bool:
        """Take in a probe of the path to `server`; whether another should come soon."""
        estimator = self.to(server)
        estimator.observe_ping(ping)
        return estimator.unsure

    def lost(self, server: str) -> None:
        """Take in a probe of the path to `server` that got no answer in time."""
        self.to(server).observe_loss()

    def forget(self, server: str) -> None:
        """Drop what is known of a path that is no longer there."""
        self._estimators.pop(server, None)
