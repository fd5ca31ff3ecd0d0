"""How long a request is on its way, computed from what the link was measured to be."""

from __future__ import annotations

import math
from typing import Final

from controller.context import LinkState
from controller.settings import LinkDefaults

SEGMENT_BITS: Final = 8 * 1460.0
UNMEASURED: Final = LinkState()


def path_ms(link: LinkState | None, payload_bytes: int, defaults: LinkDefaults) -> tuple[float, float]:
    """One round trip on an open connection, and the time to push the payload out.

    The payload goes at the measured uplink, or at what TCP makes of its losses: a connection that loses a
    share p of its segments carries at most MSS / RTT * sqrt(3 / 2) / sqrt(p) (Mathis et al. 1997).

    >>> rtt_ms, sending_ms = path_ms(LinkState(rtt_ms=40.0, uplink_mbps=8.0), 50_000, LinkDefaults())
    >>> rtt_ms, round(sending_ms)
    (40.0, 50)
    """
    link = link or UNMEASURED
    rtt_ms = defaults.rtt_ms if link.rtt_ms is None else link.rtt_ms
    uplink_mbps = link.uplink_mbps or defaults.uplink_mbps
    if link.loss:
        most_mbps = SEGMENT_BITS / (max(1.0, rtt_ms) * 1e3) * math.sqrt(1.5 / link.loss)
        uplink_mbps = min(uplink_mbps, most_mbps)
    return rtt_ms, payload_bytes * 8e-3 / uplink_mbps
