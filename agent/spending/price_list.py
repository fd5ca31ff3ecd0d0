"""What each model costs: as the site file says, else as its peer announces."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.config.settings import Settings
from inarvl.price import ALL_OTHERS, Price, Prices

log = logging.getLogger(__name__)

MAX_LOGGED = 64


class PriceList:
    """The prices of the models of cloud peers, in one currency.

    Attributes:
        currency: of all prices.
        in_use: whether any model was found to have a price.

    Args:
        claimed: returns what a peer announces, by its id; None if it announces nothing.
    """

    def __init__(self, settings: Settings, claimed: Callable[[str], Prices | None]) -> None:
        self._claimed = claimed
        self._logged: set[tuple[str, str]] = set()
        self.in_use = False
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Applies the prices and the currency of the site file."""
        self.currency = settings.spend.currency
        self._site = {
            peer.id: {model: price.price() for model, price in peer.prices.items()} for peer in settings.peers
        }

    def of(self, server: str, model: str) -> Price | None:
        """Returns the price of a model; None if it has none, or the peer names it in another currency."""
        site = self._site.get(server, {})
        price = site.get(model, site.get(ALL_OTHERS))
        if price is None:
            price = self._announced(server, model)
        self.in_use = self.in_use or price is not None
        return price

    def _announced(self, server: str, model: str) -> Price | None:
        claim = self._claimed(server)
        if claim is None:
            return None
        if claim.currency == self.currency:
            return claim.of(model)
        if (server, claim.currency) not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add((server, claim.currency))
            log.warning(
                "the prices of peer %s are in %s, not in %s: they are ignored; write them into the site file",
                server,
                claim.currency,
                self.currency,
            )
        return None
