"""How long a request is on its way, computed from what the link was measured to be."""

from __future__ import annotations

import math
from typing import Final

from controller.context import LinkState
from controller.settings import LinkDefaults

SEGMENT_BITS: Final = 8 * 1460.0


def transfer_ms(link: LinkState | None, payload_bytes: int, defaults: LinkDefaults) -> float:
    """Time to push the payload out, at the measured uplink or what TCP makes of its losses.

    A connection that loses a share p of its segments carries at most MSS / RTT * sqrt(3 / 2) / sqrt(p)
    (Mathis et al. 1997).
    """
    link = link or LinkState()
    uplink_mbps = link.uplink_mbps or defaults.uplink_mbps
    if link.loss:
        rtt_s = max(1e-3, _rtt_ms(link, defaults) / 1e3)
        uplink_mbps = min(uplink_mbps, SEGMENT_BITS / rtt_s * math.sqrt(1.5 / link.loss) / 1e6)
    return payload_bytes * 8e-3 / uplink_mbps


def link_ms(link: LinkState | None, payload_bytes: int, defaults: LinkDefaults) -> float:
    """One round trip on an open connection and the transfer of the payload.

    >>> round(link_ms(LinkState(rtt_ms=40.0, uplink_mbps=8.0), 50_000, LinkDefaults()))
    90
    """
    return _rtt_ms(link or LinkState(), defaults) + transfer_ms(link, payload_bytes, defaults)


def _rtt_ms(link: LinkState, defaults: LinkDefaults) -> float:
    return defaults.rtt_ms if link.rtt_ms is None else link.rtt_ms
