"""GET /events: what the page shows, as server-sent events.

1. The first message has everything, each further one what has changed since the one before. A reader gets at
   most one message in EVERY_S.
2. A reader that does not receive a message within WRITE_S is disconnected, and so is one whose token is no
   longer valid. It connects again by itself.
3. At most MAX_READERS read at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from aiohttp import web

from agent.http.errors import HttpError
from agent.page.access import PageAccess
from agent.page.page import Page

MAX_READERS = 8
EVERY_S, ALIVE_S, WRITE_S = 1.0, 15.0, 10.0
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class EventStream:
    """Sends the changes of a page to its readers.

    Args:
        every_s: least time between two messages to a reader.
        write_s: most time in which a reader must receive a message.
    """

    def __init__(
        self, page: Page, access: PageAccess, *, every_s: float = EVERY_S, write_s: float = WRITE_S
    ) -> None:
        self._page = page
        self._access = access
        self._every_s = every_s
        self._write_s = write_s
        self._stopping = False

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [web.get("/events", self._events, allow_head=False)]

    def stop(self) -> None:
        """Ends all streams."""
        self._stopping = True
        self._page.state.wake()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._access.check(request)
        with self._reader():
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            try:
                await self._send_changes(request, response)
            except (ConnectionError, TimeoutError):
                response.force_close()
                if request.transport is not None:
                    request.transport.abort()
            return response

    async def _send_changes(self, request: web.Request, response: web.StreamResponse) -> None:
        state, revision = self._page.state, 0
        content: dict[str, Any] | None = state.since(0)
        while not self._stopping and self._access.allows(request):
            message = b": alive\n\n"
            if content is not None:
                revision = content["revision"]
                message = b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"
            with anyio.fail_after(self._write_s):
                await response.write(message)
            await anyio.sleep(self._every_s)
            content = None
            with anyio.move_on_after(ALIVE_S):
                await state.changed(revision)
                content = state.since(revision)

    @contextmanager
    def _reader(self) -> Iterator[None]:
        if self._page.readers >= MAX_READERS:
            message = f"{MAX_READERS} pages are open already: close one"
            raise HttpError("busy", message, retry_after_s=ALIVE_S)
        self._page.readers += 1
        try:
            yield
        finally:
            self._page.readers -= 1
