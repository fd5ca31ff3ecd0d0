"""GET / and /page/...: the files of the page, which have no data of the agent and need no token."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from aiohttp import web

KINDS: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class PageFiles:
    """The files of the page, read once.

    Attributes:
        PATHS: where they are served.
    """

    PATHS: Final = frozenset(
        {
            "/",
            *(
                f"/page/{file.name}"
                for file in files("agent.page").joinpath("static").iterdir()
                if file.name.rpartition(".")[2] in KINDS
            ),
        }
    )

    def __init__(self) -> None:
        folder = files("agent.page").joinpath("static")
        names = {path: path.removeprefix("/page/") if path != "/" else "index.html" for path in self.PATHS}
        self._bodies = {path: folder.joinpath(name).read_bytes() for path, name in names.items()}

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes."""
        return [web.get("/", self._file), web.get("/page/{file}", self._file)]

    async def _file(self, request: web.Request) -> web.Response:
        body = self._bodies.get(request.path)
        if body is None:
            raise web.HTTPNotFound
        kind = KINDS["html" if request.path == "/" else request.path.rpartition(".")[2]]
        return web.Response(body=body, headers=HEADERS, content_type=kind, charset="utf-8")
