"""The picture at an http or https URL.

1. Only hosts of the allow-list are asked. At most MAX_REDIRECTS redirects are followed, to such hosts only,
   and never from https to http.
2. The password goes to the origin (scheme, host and port) of the configured URL only. With `digest` it is
   never sent itself.
3. A picture has a size limit, and all requests for it together a time limit.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import aiohttp
import anyio
from anyio import to_thread
from yarl import URL

from agent.config.camera_source import CameraSource
from agent.watching.sources.source import SourceFailed
from inarvl.connection_problem import connection_problem
from inarvl.secret_file import SecretUnavailable, read_secret
from inarvl.server_url import shown_url

MAX_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
CHUNK_BYTES = 65_536
ACCEPT = {"Accept": "image/jpeg, image/png, image/*;q=0.5", "Accept-Encoding": "identity"}


class HttpSource:
    """Fetches a picture; keeps the connection open in between.

    Args:
        hosts: the allow-list, in lower case.
        max_bytes: size limit of a picture.
    """

    def __init__(self, settings: CameraSource, hosts: Collection[str], max_bytes: int) -> None:
        self._settings = settings
        self._url = URL(settings.url)
        self._hosts = frozenset(hosts)
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None
        self._digest: aiohttp.DigestAuthMiddleware | None = None
        self._basic: dict[str, str] = {}

    async def fetch(self) -> bytes | None:
        """Returns the picture.

        Raises:
            SourceFailed: it cannot be fetched.
        """
        try:
            with anyio.fail_after(self._settings.timeout_s):
                return await self._fetch()
        except TimeoutError:
            problem = f"no picture within {self._settings.timeout_s:g} s"
        except aiohttp.ClientConnectionError as error:
            problem = connection_problem(error)
        except aiohttp.ClientError as error:
            problem = f"its reply is not HTTP ({type(error).__name__})"
        raise self._failed(f"{problem}: is the camera on, and is the URL right?")

    async def close(self) -> None:
        """Ends the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _fetch(self) -> bytes:
        session = self._session or await self._open()
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            async with self._get(session, url) as response:
                if response.status not in REDIRECTS:
                    return await self._picture(response)
                url = self._redirected(url, response.headers.get("Location"))
        raise self._failed(f"it redirects more than {MAX_REDIRECTS} times: write the last URL")

    def _get(self, session: aiohttp.ClientSession, url: URL) -> aiohttp.client._RequestContextManager:
        own = url.origin() == self._url.origin()
        return session.get(
            url,
            allow_redirects=False,
            headers={**ACCEPT, **self._basic} if own else ACCEPT,
            middlewares=(self._digest,) if own and self._digest is not None else (),
        )

    def _redirected(self, url: URL, location: str | None) -> URL:
        target = None
        with suppress(ValueError):
            target = None if location is None else url.join(URL(location))
        if target is None or target.scheme not in ("http", "https") or not target.host:
            raise self._failed("it redirects to no URL of http: write the URL of the picture")
        if (target.host or "").lower() not in self._hosts:
            raise self._failed(
                f"it redirects to the host {target.host[:100]}, which is not in camera_hosts: add it there"
            )
        if url.scheme == "https" and target.scheme == "http":
            raise self._failed("it redirects from https to http: write the URL of the picture")
        return target

    async def _picture(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status == 401:
            raise self._failed(self._refused(response.headers.getall("WWW-Authenticate", [])))
        if response.status != 200:
            raise self._failed(f"it answers with the status {response.status}: check the URL and the camera")
        if response.content_type.startswith("multipart/"):
            raise self._failed("it is a stream of pictures: write the URL of a single one")
        data = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            data += chunk
            if len(data) > self._max_bytes:
                raise self._failed(
                    f"the picture has over {self._max_bytes} bytes: let the camera send smaller ones, or "
                    "raise intake.max_payload_bytes"
                )
        return bytes(data)

    def _refused(self, challenges: list[str]) -> str:
        schemes = {challenge.split(" ")[0].lower() for challenge in challenges}
        if self._settings.username is None:
            return "it requires a password: write username and password_file"
        if schemes and self._settings.auth not in schemes:
            other = "basic" if "basic" in schemes else ", ".join(sorted(schemes))[:40]
            return f"it does not accept auth: {self._settings.auth}, but {other}"
        return "it refuses the password: check username and password_file"

    async def _open(self) -> aiohttp.ClientSession:
        """Reads the password and the CA, and returns a session.

        Raises:
            SourceFailed: they cannot be read.
        """
        settings = self._settings
        try:
            if settings.username is not None and settings.password_file is not None:
                password = await to_thread.run_sync(read_secret, settings.password_file)
                if settings.auth == "basic":
                    login = b64encode(f"{settings.username}:{password}".encode()).decode()
                    self._basic = {"Authorization": f"Basic {login}"}
                else:
                    self._digest = aiohttp.DigestAuthMiddleware(settings.username, password)
            context = await to_thread.run_sync(_tls, settings.ca_file)
        except SecretUnavailable as error:
            raise self._failed(str(error)) from None
        except (OSError, ssl.SSLError) as error:
            raise self._failed(f"ca_file cannot be used ({error}): check the file") from None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self._session

    def _failed(self, problem: str) -> SourceFailed:
        return SourceFailed(f"{shown_url(self._settings.url)}: {problem}")


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
