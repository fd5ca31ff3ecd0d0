"""How long a request is on its way over the simulated link.

The simulation has its own formula: a change to the controller's model does not change the measurement.
"""

from __future__ import annotations

import math
from typing import Final

SEGMENT_BITS: Final = 8 * 1460.0


def path_ms(*, rtt_ms: float, uplink_mbps: float, loss: float, payload_bytes: float) -> tuple[float, float]:
    """Returns one round trip on an open connection, and the time to send the payload, in ms.

    The payload is sent at the uplink's rate, or at the rate that TCP reaches with the losses: a connection
    that loses a share p of its segments carries at most MSS / RTT * sqrt(3 / 2) / sqrt(p) (Mathis et al.
    1997).

    >>> path_ms(rtt_ms=40.0, uplink_mbps=8.0, loss=0.0, payload_bytes=50_000)
    (40.0, 50.0)
    """
    if loss:
        most_mbps = SEGMENT_BITS / (max(1.0, rtt_ms) * 1e3) * math.sqrt(1.5 / loss)
        uplink_mbps = min(uplink_mbps, most_mbps)
    return rtt_ms, payload_bytes * 8e-3 / uplink_mbps
