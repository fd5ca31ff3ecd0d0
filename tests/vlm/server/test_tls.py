"""Attacks on a server with TLS, client certificates and a token; the keys are those of `inarvl-cloud keygen`.

The server is the real one, with a tiny model. Where a case needs other certificates, the same listener serves
one route.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import trustme
from aiohttp import web
from cryptography import x509

from cloud.certificate_authority import CertificateAuthority
from inarvl.tls_files import BadTlsFile, client_context, server_context
from vlm import connections
from vlm.connections import BoundedSite, Connections
from vlm.server_access import ServerAccess
from vlm.server_tls import ServerTls

pytestmark = pytest.mark.anyio
NOW = datetime.now(timezone.utc).replace(microsecond=0)
TIMEOUT_S = 30
TOKEN = "a-token-of-the-test-0123456789"


@dataclass
class Keys:
    """A CA and what it has signed, in files."""

    folder: Path
    ca: CertificateAuthority

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, name: str, *hosts: str, now: datetime = NOW, days: int = 30) -> Path:
        """Writes key and certificate into a folder of their own, which is returned."""
        own = self.folder / name
        own.mkdir(exist_ok=True)
        issued = self.ca.issue(name, hosts, now, days)
        (own / "cert.pem").write_bytes(issued.certificate)
        (own / "key.pem").write_bytes(issued.key)
        return own

    def client(self, own: Path | None = None) -> ssl.SSLContext:
        """The context of a client that trusts the CA, and has the certificate in `own`."""
        pair = (None, None) if own is None else (own / "cert.pem", own / "key.pem")
        return client_context(self.ca_file, *pair)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    return Keys(folder, CertificateAuthority.create(folder, "test", NOW))


@pytest.fixture(scope="module")
def url(running: Any, keys: Keys) -> Iterator[str]:
    """A server that requires a certificate of the CA, and a token."""
    (keys.folder / "token").write_text(f"{TOKEN}\n")
    tls = ServerTls.in_folder(keys.issue("peer", "127.0.0.1", "localhost"), keys.ca_file)
    with running("127.0.0.1:0", access=ServerAccess(tls, keys.folder / "token")) as info:
        yield f"https://{info.host}:{info.port}"


async def get(url: str, context: ssl.SSLContext, path: str = "/v1/models", token: str | None = TOKEN) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url + path, ssl=context, headers=headers) as response,
    ):
        await response.read()
        return response.status


async def test_a_device_with_certificate_and_token_is_answered(url: str, keys: Keys) -> None:
    assert await get(url, keys.client(keys.issue("device"))) == 200


async def test_a_certificate_does_not_replace_the_token(url: str, keys: Keys) -> None:
    device = keys.client(keys.issue("device"))
    assert await get(url, device, token=None) == 401
    assert await get(url, device, token="a-token-of-the-test-0123456780") == 401
    assert await get(url, device, path="/healthz", token=None) == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_without_a_client_certificate_no_request_is_answered(
    url: str, keys: Keys, version: ssl.TLSVersion
) -> None:
    context = keys.client()
    context.minimum_version = context.maximum_version = version
    for path in ("/v1/models", "/healthz"):
        with pytest.raises((aiohttp.ClientError, OSError)):
            await get(url, context, path)
    assert await get(url, keys.client(keys.issue("device"))) == 200, "the server continues"


async def test_wrong_client_certificates_are_refused(url: str, keys: Keys, tmp_path: Path) -> None:
    other = trustme.CA()
    strange = other.issue_cert("device")
    (tmp_path / "cert.pem").write_bytes(strange.cert_chain_pems[0].bytes())
    (tmp_path / "key.pem").write_bytes(strange.private_key_pem.bytes())
    wrong = {
        "of another CA": tmp_path,
        "that has ended": keys.issue("ended", now=NOW - timedelta(days=90)),
        "of a peer": keys.issue("another-peer", "127.0.0.1"),
    }
    for name, own in wrong.items():
        with pytest.raises((aiohttp.ClientError, OSError)):
            pytest.fail(f"a certificate {name} was answered with {await get(url, keys.client(own))}")


async def test_a_revoked_certificate_is_refused_by_the_running_server(url: str, keys: Keys) -> None:
    stolen, other = keys.issue("stolen"), keys.issue("other")
    assert await get(url, keys.client(stolen)) == 200
    keys.ca.revoke(x509.load_pem_x509_certificate((stolen / "cert.pem").read_bytes()), NOW)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await get(url, keys.client(stolen))
    assert await get(url, keys.client(other)) == 200


async def test_a_client_that_trusts_another_ca_sends_nothing(url: str, tmp_path: Path, keys: Keys) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await get(url, client_context(tmp_path / "ca.pem"))


async def test_plain_http_is_not_answered(url: str, keys: Keys) -> None:
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    with anyio.fail_after(TIMEOUT_S):
        reply = await reader.read()
    writer.close()
    assert b"HTTP/" not in reply
    assert await get(url, keys.client(keys.issue("device"))) == 200, "the server continues"


async def test_a_replaced_certificate_is_used_without_a_restart(url: str, keys: Keys) -> None:
    async def serial() -> Any:
        port = int(url.rpartition(":")[2])
        context = keys.client(keys.issue("device"))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        served = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        writer.close()
        return served

    before = await serial()
    keys.issue("peer", "127.0.0.1", "localhost")
    assert await serial() != before
    broken = keys.folder / "peer" / "cert.pem"
    good = broken.read_bytes()
    broken.write_text("no certificate")
    assert await serial() not in (None, before), "a file that cannot be used changes nothing"
    broken.write_bytes(good)


def test_a_device_certificate_is_refused_for_a_server(keys: Keys) -> None:
    device = ServerTls.in_folder(keys.issue("device"))
    with pytest.raises(BadTlsFile, match="certificate of a device: use one of a peer"):
        ServerAccess(device).request_check("127.0.0.1:0")


@asynccontextmanager
async def serving(context: ssl.SSLContext, limit: int = 8) -> AsyncIterator[int]:
    """Serves / over TLS as every server of ours does; yields the port."""

    async def ok(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    bounded = Connections(limit)
    app = web.Application(middlewares=[bounded.middleware])
    app.router.add_get("/", ok)
    runner = web.AppRunner(app)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        await BoundedSite(runner, listener, bounded, lambda: context).start()
        try:
            yield port
        finally:
            await runner.cleanup()


def pair(own: Path) -> tuple[Path, Path]:
    return own / "cert.pem", own / "key.pem"


@pytest.mark.parametrize(
    ("hosts", "now"),
    [((), NOW), (("gpu-1.example.net",), NOW), (("127.0.0.1",), NOW - timedelta(days=90))],
    ids=["of a device", "for another name", "that has ended"],
)
async def test_a_client_refuses_a_server_with_a_certificate(
    keys: Keys, hosts: tuple[str, ...], now: datetime
) -> None:
    own = keys.issue("false-peer", *hosts, now=now)
    async with serving(server_context(*pair(own))) as port:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(f"https://127.0.0.1:{port}", keys.client(), "/")


@pytest.fixture
def local(keys: Keys) -> ssl.SSLContext:
    return server_context(*pair(keys.issue("local", "127.0.0.1")))


async def test_tls_1_1_is_refused(keys: Keys, local: ssl.SSLContext) -> None:
    own = keys.folder / "local"
    old, permissive = keys.client(), server_context(*pair(own))
    for context in (old, permissive):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL has no TLS 1.1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(permissive) as port:
        assert await get(f"https://127.0.0.1:{port}", old, "/") == 200, "this client can speak it"
    async with serving(local) as port:
        with pytest.raises((aiohttp.ClientError, OSError)):
            await get(f"https://127.0.0.1:{port}", old, "/")


async def open_plain(stack: AsyncExitStack, port: int, _keys: Keys) -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    return reader


async def open_half(stack: AsyncExitStack, port: int, _keys: Keys) -> asyncio.StreamReader:
    """Sends the beginning of a handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    writer.write(b"\x16\x03\x01\x02\x00\x01")
    return reader


async def open_whole(stack: AsyncExitStack, port: int, keys: Keys) -> asyncio.StreamReader:
    """Ends the handshake, and sends no request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=keys.client())
    stack.callback(writer.close)
    return reader


async def ended(reader: asyncio.StreamReader) -> bool:
    with anyio.fail_after(TIMEOUT_S):
        try:
            return await reader.read(1) == b""
        except OSError:
            return True


@pytest.mark.parametrize("connect", [open_plain, open_half, open_whole])
async def test_slow_handshakes_do_not_keep_others_away(
    local: ssl.SSLContext, keys: Keys, connect: Any
) -> None:
    async with serving(local, limit=4) as port, AsyncExitStack() as stack:
        idle = [await connect(stack, port, keys) for _ in range(20)]
        assert await get(f"https://127.0.0.1:{port}", keys.client(), "/") == 200
        assert await ended(idle[0])


@pytest.mark.parametrize("connect", [open_plain, open_half, open_whole])
async def test_a_handshake_has_a_time_limit(
    local: ssl.SSLContext, keys: Keys, monkeypatch: pytest.MonkeyPatch, connect: Any
) -> None:
    monkeypatch.setattr(connections, "HEADER_S", 0.3)
    monkeypatch.setattr(connections, "CHECK_S", 0.01)
    async with serving(local) as port, AsyncExitStack() as stack:
        assert await ended(await connect(stack, port, keys))


async def test_failed_handshakes_leave_no_connection_behind(local: ssl.SSLContext, keys: Keys) -> None:
    """More of them than connections are allowed, while one that is allowed stays open."""
    async with serving(local, limit=2) as port, aiohttp.ClientSession() as session:
        for _ in range(10):
            with pytest.raises(OSError, match=r".*"):
                await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
        async with session.get(f"https://127.0.0.1:{port}/", ssl=keys.client()) as response:
            assert response.status == 200
