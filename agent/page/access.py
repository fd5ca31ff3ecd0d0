"""Who may use the page: its reader acts as the operator of the board."""

from __future__ import annotations

from aiohttp import web

from agent.config.page_settings import PageSettings
from agent.http.callers import Callers
from agent.http.errors import HttpError

SAME_SITE = ("same-origin", "none")


class PageAccess:
    """Allows operators.

    Args:
        callers: know whose token a request has.
    """

    def __init__(self, settings: PageSettings, callers: Callers) -> None:
        self._operators = frozenset(settings.operators)
        self._callers = callers

    def allows(self, request: web.Request) -> bool:
        """Returns whether an operator sends the request: everybody if the address has no tokens."""
        return self._callers.is_one_of(request, self._operators)

    def check(self, request: web.Request) -> None:
        """Refuses requests of others.

        A page of another site can send some requests without the header `Origin`. It cannot read the
        response, but would occupy a place for a reader; browsers say so in `Sec-Fetch-Site`.

        Raises:
            HttpError: see above.
        """
        if request.headers.get("Sec-Fetch-Site", "none") not in SAME_SITE:
            raise HttpError("origin_not_allowed", "a page of another site must not use this agent")
        if not self.allows(request):
            raise HttpError(
                "operators_only",
                "this token does not open the page: use the one of an operator (http.page.operators)",
            )
