"""Refuses requests that a page of another site makes in a person's browser.

Such a page cannot read responses, because the agent sends no CORS headers. But its requests arrive, from a
browser that may be on this board or in its network. A browser names the page's site in the header `Origin`;
programs send none.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from agent.http.errors import HttpError


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers requests without `Origin`, and those of pages that this application serves."""
    for origin in request.headers.getall("Origin", []):
        try:
            site = urlsplit(origin).netloc.lower()
        except ValueError:
            site = ""
        if site != request.host.lower():
            raise HttpError("origin_not_allowed", "a page of another site must not use this agent")
    return await handler(request)
