"""Checks that caps on the spend apply to every model."""

from __future__ import annotations

from agent.config.peer_settings import Server
from agent.config.settings import Settings
from agent.doctor.finding import Finding, ok, warning
from agent.profile.profile import Profile
from inarvl.price import ALL_OTHERS


def spend(settings: Settings, profile: Profile) -> list[Finding]:
    """Warns where a cap is set, and a peer of the site file has models without a price."""
    cameras = settings.cameras.values()
    capped = settings.spend.per_day is not None or any(c.spend_per_day is not None for c in cameras)
    if not capped:
        return [ok("there is no cap on the spend")]
    unpriced = [peer.id for peer in settings.peers if not _is_priced(peer)]
    if not unpriced:
        return [ok("every peer of the site file has prices")]
    return [
        warning(
            f"the cap on the spend does not apply to models without a price, of {', '.join(unpriced)}",
            'write their prices below the peer\'s `prices`, or one for `"*"`: 0 if they are free',
        )
    ]


def _is_priced(peer: Server) -> bool:
    return ALL_OTHERS in peer.prices or (bool(peer.models) and {*peer.models} <= peer.prices.keys())
