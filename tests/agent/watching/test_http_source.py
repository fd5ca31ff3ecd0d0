"""Pictures from a real HTTP server: passwords, redirects and limits."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web

from agent.config.camera_source import CameraSource
from agent.watching.sources.http_source import HttpSource
from agent.watching.sources.source import SourceFailed

pytestmark = pytest.mark.anyio
PICTURE = b"\xff\xd8 picture \xff\xd9"
USER, PASSWORD = "inarvl", "a pass: word"
NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


class CameraServer:
    """A camera's web server; remembers every request."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.url = ""
        self.target = ""

    @web.middleware
    async def remember(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request)
        return await handler(request)  # type: ignore[no-any-return]

    async def open(self, _request: web.Request) -> web.Response:
        return web.Response(body=PICTURE, content_type="image/jpeg")

    async def basic(self, request: web.Request) -> web.Response:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") == expected:
            return await self.open(request)
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})

    async def digest(self, request: web.Request) -> web.Response:
        """RFC 7616 with SHA-256 and qop=auth, computed here and not by the client's library."""
        sent = dict(re.findall(r'(\w+)="?([^",]+)"?', request.headers.get("Authorization", "")))
        if "nc" in sent:
            first = _sha(f"{USER}:camera:{PASSWORD}")
            second = _sha(f"GET:{request.path_qs}")
            parts = (first, NONCE, sent["nc"], sent["cnonce"], "auth", second)
            if sent["response"] == _sha(":".join(parts)) and sent["uri"] == request.path_qs:
                return await self.open(request)
        challenge = f'Digest realm="camera", qop="auth", algorithm=SHA-256, nonce="{NONCE}"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async def redirect(self, _request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": self.target} if self.target else {})

    async def endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 4096)
            await anyio.lowlevel.checkpoint()

    async def silent(self, _request: web.Request) -> web.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async def stream(self, _request: web.Request) -> web.Response:
        return web.Response(body=PICTURE, headers={"Content-Type": "multipart/x-mixed-replace; boundary=b"})


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
async def camera() -> AsyncIterator[CameraServer]:
    server = CameraServer()
    app = web.Application(middlewares=[server.remember])
    for name in ("open", "basic", "digest", "redirect", "endless", "silent", "stream"):
        app.router.add_get(f"/{name}", getattr(server, name))
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return file


async def fetch(url: str, *, times: int = 1, hosts: tuple[str, ...] = ("127.0.0.1",), **options: Any) -> Any:
    source = HttpSource(CameraSource(url=url, **options), hosts, 10_000)
    try:
        return [await source.fetch() for _ in range(times)][-1]
    finally:
        await source.close()


@pytest.mark.parametrize("auth", ["basic", "digest"])
async def test_a_picture_is_fetched_with_a_password(camera: CameraServer, password: Path, auth: str) -> None:
    options = {"username": USER, "password_file": password, "auth": auth}
    assert await fetch(f"{camera.url}/{auth}?channel=1&size=2", times=2, **options) == PICTURE
    schemes = {request.headers.get("Authorization", "none").split()[0] for request in camera.requests}
    assert schemes == ({"Basic"} if auth == "basic" else {"none", "Digest"})


@pytest.mark.parametrize(
    ("path", "options", "problem"),
    [
        ("basic", {}, "requires a password: write username and password_file"),
        ("basic", {"auth": "digest"}, "does not accept auth: digest, but basic"),
        ("digest", {"auth": "basic"}, "does not accept auth: basic, but digest"),
        ("basic", {"auth": "basic", "username": "other"}, "refuses the password"),
        ("digest", {"auth": "digest", "username": "other"}, "refuses the password"),
        ("missing", {}, "answers with the status 404"),
        ("stream", {}, "it is a stream of pictures: write the URL of a single one"),
        ("endless", {}, "over 10000 bytes"),
        ("silent", {"timeout_s": 0.2}, "no picture within 0.2 s"),
        ("redirect", {}, "redirects to no URL of http"),
    ],
)
async def test_a_failure_says_what_to_do(
    camera: CameraServer, password: Path, path: str, options: dict[str, Any], problem: str
) -> None:
    if "auth" in options:
        options = {"username": USER, "password_file": password, **options}
    with pytest.raises(SourceFailed, match=problem) as raised:
        await fetch(f"{camera.url}/{path}?channel=1", **options)
    assert str(raised.value).startswith(f"{camera.url}/{path}: ")
    assert PASSWORD not in str(raised.value)


async def test_a_camera_that_is_off_and_a_password_that_is_missing_are_failures(
    camera: CameraServer, tmp_path: Path
) -> None:
    with pytest.raises(SourceFailed, match="is the camera on"):
        await fetch("http://127.0.0.1:9/snapshot")
    with pytest.raises(SourceFailed, match="secret cannot be read"):
        await fetch(f"{camera.url}/basic", username=USER, password_file=tmp_path / "none", auth="basic")
    assert camera.requests == []


async def test_a_redirect_is_followed_to_allowed_hosts_only(camera: CameraServer) -> None:
    camera.target = "/open"
    assert await fetch(f"{camera.url}/redirect") == PICTURE
    camera.target = camera.url.replace("127.0.0.1", "localhost") + "/open"
    asked = len(camera.requests)
    with pytest.raises(SourceFailed, match="the host localhost, which is not in camera_hosts"):
        await fetch(f"{camera.url}/redirect")
    assert len(camera.requests) == asked + 1
    assert await fetch(f"{camera.url}/redirect", hosts=("127.0.0.1", "localhost")) == PICTURE
    for camera.target in ("file:///etc/passwd", "http://[", "ftp://127.0.0.1/x"):
        with pytest.raises(SourceFailed, match=r"redirects to (no URL|the host)"):
            await fetch(f"{camera.url}/redirect")
    camera.target = "/redirect"
    with pytest.raises(SourceFailed, match="redirects more than 3 times"):
        await fetch(f"{camera.url}/redirect")


@pytest.mark.parametrize("auth", ["basic", "digest"])
async def test_another_origin_does_not_get_the_password(
    camera: CameraServer, password: Path, auth: str
) -> None:
    camera.target = camera.url.replace("127.0.0.1", "localhost") + f"/{auth}"
    with pytest.raises(SourceFailed, match="refuses the password"):
        await fetch(
            f"{camera.url}/redirect",
            hosts=("127.0.0.1", "localhost"),
            username=USER,
            password_file=password,
            auth=auth,
        )
    assert camera.requests[-1].host.startswith("localhost")
    assert "Authorization" not in camera.requests[-1].headers
