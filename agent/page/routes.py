"""The routes of the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.http.callers import Callers
from agent.page.access import PageAccess
from agent.page.commands import PageCommands
from agent.page.files import PageFiles
from agent.page.page import Page
from agent.page.stream import EventStream


class PageRoutes:
    """Serves the page, its events, and what an operator can do on it.

    Args:
        page: has settings.
        callers: know whose token a request has.
        set_mode: sets the mode by its name.
        accept: learns from the body of an operator's feedback message.
    """

    def __init__(
        self,
        page: Page,
        callers: Callers,
        set_mode: Callable[[str], Awaitable[None]],
        accept: Callable[[bytes], bool],
    ) -> None:
        assert page.settings is not None, "there is a page"
        access = PageAccess(page.settings, callers)
        self._stream = EventStream(page, access)
        self._parts = (PageFiles(), self._stream, PageCommands(page, access, set_mode, accept))

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [route for part in self._parts for route in part.routes()]

    def stop(self) -> None:
        """Ends the streams of events."""
        self._stream.stop()
