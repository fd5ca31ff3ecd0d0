"""Who may use a server: its address, the host that a request names, and tokens."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import typer
from typer.testing import CliRunner

from cloud.cli import app as cloud_app
from vlm import VlmClient, VlmError
from vlm.access_check import AccessCheck
from vlm.allowed_hosts import AllowedHosts
from vlm.bearer_tokens import BadTokenFile, BearerTokens, first_token
from vlm.cli import app as vlm_app
from vlm.errors import ListenError
from vlm.server_access import ServerAccess
from vlm.server_tls import ServerTls

pytestmark = pytest.mark.anyio
OLD, NEW = "the-old-token-0123456789", "the-new-token-0123456789"
TIMEOUT_S = 30


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(f"# of gate-3\n{OLD}\n\n")
    return path


@pytest.fixture(scope="module")
def url(running: Any, tokens: Path) -> Iterator[str]:
    """A server that requires a token."""
    access = ServerAccess(token_file=tokens, allowed_hosts=("models.example.net",))
    with running("127.0.0.1:0", access=access) as info:
        yield f"http://{info.host}:{info.port}"


async def ask(url: str, request: str) -> tuple[int, dict[str, str], Any]:
    """Sends raw bytes; returns status, headers and body of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(request.replace("\n", "\r\n").encode("latin-1"))
    with anyio.fail_after(TIMEOUT_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return int(status.split()[1]), headers, json.loads(body) if "json" in headers["content-type"] else body


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"Authorization: {OLD}",
        f"Authorization: Basic {OLD}",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        f"Authorization: Bearer {OLD[:-1]}",
        f"Authorization: Bearer {OLD}x",
        f"Authorization: Bearer {OLD.upper()}",
        "Authorization: Bearer # of gate-3",
        "Authorization: Bearer \xff\xfe",
        f"Authorization: Bearer wrong\nAuthorization: Bearer {OLD}",
        f"Proxy-Authorization: Bearer {OLD}",
        f"X-Api-Key: {OLD}",
        f"Cookie: token={OLD}",
    ],
)
async def test_a_request_without_a_valid_token_gets_401(url: str, header: str) -> None:
    request = f"GET /v1/models HTTP/1.1\nHost: localhost\n{header}\n\n".replace("\n\n\n", "\n\n")
    status, headers, body = await ask(url, request)
    if status == 400:
        assert header.count("Authorization") == 2, "the HTTP parser refuses repeated headers"
        return
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert (body["error"]["type"], body["error"]["code"]) == ("invalid_request_error", "invalid_api_key")
    assert OLD not in json.dumps(body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/llava"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("POST", "/probe"),
        ("GET", "/nothing"),
        ("GET", "/healthz/"),
        ("GET", "//healthz"),
        ("GET", "/v1/models?/healthz"),
        ("GET", "/v1/../healthz/../metrics"),
        ("OPTIONS", "/v1/models"),
    ],
)
async def test_only_healthz_is_answered_without_a_token(url: str, method: str, path: str) -> None:
    request = f"{method} {path} HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n"
    assert (await ask(url, request))[0] == 401
    assert (await ask(url, "GET /healthz HTTP/1.1\nHost: localhost\n\n"))[0] == 200


async def test_the_body_of_a_request_without_a_token_is_not_awaited(url: str) -> None:
    """It announces a large body and never sends it."""
    for path in ("/v1/chat/completions", "/probe"):
        request = f"POST {path} HTTP/1.1\nHost: localhost\nContent-Length: 8000000\n\n"
        assert (await ask(url, request))[0] == 401


async def test_the_client_sends_its_token(url: str) -> None:
    client, without = VlmClient(url, api_key=OLD), VlmClient(url)
    assert await client.ready()
    assert [card.id for card in await client.models()] == ["llava"]
    with pytest.raises(VlmError):
        await without.models()
    await client.aclose()
    await without.aclose()


def read(path: Path) -> str:
    return path.read_text()


def write(path: Path, content: str) -> None:
    path.write_text(content)


async def test_tokens_are_changed_without_a_restart(url: str, tokens: Path) -> None:
    async def status(token: str) -> int:
        request = f"GET /readyz HTTP/1.1\nHost: localhost\nAuthorization: bearer {token}\n\n"
        return (await ask(url, request))[0]

    assert (await status(OLD), await status(NEW)) == (200, 401)
    before = read(tokens)
    write(tokens, f"{NEW}\n{before}")
    assert (await status(OLD), await status(NEW)) == (200, 200)
    for invalid in ("", "# none\n", "short\n", "a token with blanks\n"):
        write(tokens, invalid)
        assert (await status(OLD), await status(NEW)) == (200, 200), "an invalid file changes nothing"
    write(tokens, f"{NEW}\n")
    assert (await status(OLD), await status(NEW)) == (401, 200)
    write(tokens, before)
    assert (await status(OLD), await status(NEW)) == (200, 401)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file"),
        (b"", "has no token"),
        (b"# a comment\n", "has no token"),
        (b"hunter2\n", "line 1 has under 16 characters"),
        (f"{OLD}\nBearer {NEW}\n".encode(), "line 2 is no token"),
        (b"\xff\xfe\x00", "it is no text"),
    ],
)
def test_a_file_without_valid_tokens_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadTokenFile, match=message) as caught:
        BearerTokens(path)
    assert OLD not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_token_may_have_the_name_of_its_client(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# cameras\ncamera-1:{OLD}\n{NEW}\n")
    tokens = BearerTokens(path)
    assert tokens.accept(f"Bearer {OLD}")
    assert tokens.name_of(f"Bearer {OLD}") == "camera-1"
    assert tokens.accept(f"Bearer {NEW}")
    assert tokens.name_of(f"Bearer {NEW}") is None
    for wrong in (f"camera-1:{OLD}", "camera-1", ""):
        assert not tokens.accept(f"Bearer {wrong}")
        assert tokens.name_of(f"Bearer {wrong}") is None
    assert first_token(path) == OLD


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "a" * 65])
def test_a_name_of_a_token_is_checked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{name}:{OLD}\n")
    with pytest.raises(BadTokenFile, match="no valid name before the colon"):
        BearerTokens(path)


def test_a_token_is_compared_with_all_others_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens"
    path.write_text("".join(f"{number:032}\n" for number in range(5)))
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or real(*both))
    accepted = BearerTokens(path)
    for token in (f"{0:032}", f"{4:032}", "x", f"{9:032}"):
        compared.clear()
        assert accepted.accept(f"Bearer {token}") == (token in (f"{0:032}", f"{4:032}"))
        assert len(compared) == 5
        assert {len(value) for both in compared for value in both} == {32}, "lengths say nothing either"


def test_tokens_are_in_no_log_and_no_representation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{OLD}\n")
    caplog.set_level(logging.DEBUG)
    tokens = BearerTokens(path)
    check = AccessCheck(tokens, AllowedHosts())
    check.refusal("/v1/models", ["localhost"], [f"Bearer {NEW}"], "10.0.0.9")
    assert "refused a request of 10.0.0.9 with a wrong token" in caplog.text
    shown = (
        caplog.text + repr(tokens) + repr(vars(tokens)) + repr(check) + repr(ServerAccess(token_file=path))
    )
    assert OLD not in shown
    assert NEW not in shown


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8010",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "models.example.net.evil.example",
        "evil.example/localhost",
        "evil.example#localhost",
        "localhost@evil.example",
        "192.0.2.7",
        "[2001:db8::7]:80",
        "0.0.0.0:8010",
        "2130706433",
        "0x7f.1",
        "",
        "localhost, evil.example",
        "local host",
    ],
)
async def test_a_page_that_points_its_name_here_gets_421(url: str, host: str) -> None:
    request = f"GET /v1/models HTTP/1.1\nHost: {host}\nAuthorization: Bearer {OLD}\n\n"
    status, _, body = await ask(url, request)
    assert status in (400, 421)  # 400: the HTTP parser refuses it
    assert status == 400 or body["error"]["code"] == "host_not_allowed"
    healthz = f"GET /healthz HTTP/1.1\nHost: {host}\n\n"
    assert (await ask(url, healthz))[0] == status


async def test_the_host_of_the_request_line_is_checked_too(url: str) -> None:
    line = "GET http://evil.example/v1/models HTTP/1.1"
    assert (await ask(url, f"{line}\nHost: localhost\nAuthorization: Bearer {OLD}\n\n"))[0] == 421


async def test_a_request_without_a_host_gets_421(url: str) -> None:
    assert (await ask(url, f"GET /v1/models HTTP/1.0\nAuthorization: Bearer {OLD}\n\n"))[0] in (400, 421)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:99", "LOCALHOST", "127.9.9.9", "[::1]:8010", "models.example.net:443"]
)
async def test_its_own_names_are_answered(url: str, host: str) -> None:
    request = f"GET /v1/models HTTP/1.1\nHost: {host}\nAuthorization: Bearer {OLD}\n\n"
    assert (await ask(url, request))[0] == 200


def test_the_names_of_the_machine_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "GPU-1.example.net")
    own = [frozenset({ip_address("10.0.0.7")}), frozenset({ip_address("10.0.0.8"), ip_address("fd00::7")})]
    now = [0.0]
    hosts = AllowedHosts(["fd00::9", "10.1.1.1:8020"], own=lambda: own.pop(0), clock=lambda: now[0])
    for host in ("gpu-1", "gpu-1.local", "gpu-1.example.net.", "10.0.0.7:8020", "[fd00::9]", "10.1.1.1"):
        assert hosts.allow([host])
    assert not hosts.allow(["10.0.0.8"]), "the interfaces were read just now"
    now[0] = 60.0
    assert hosts.allow(["10.0.0.8"]), "an address that appears later"
    assert hosts.allow(["[::ffff:10.0.0.8]"])
    assert hosts.allow(["[fd00::7%25eth0]:80".replace("%25", "%")])
    assert not hosts.allow(["gpu-1.evil.example"])


async def test_a_unix_socket_accepts_any_host(unix_server: str) -> None:
    connector = aiohttp.UnixConnector(unix_server.removeprefix("unix:"))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://evil.example/v1/models") as response,
    ):
        assert response.status == 200


EXPOSED = ["0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:80", "gpu-1:0", "127.0.0.1.evil.example:0", "0:0"]


@pytest.mark.parametrize("address", EXPOSED)
def test_an_address_that_others_reach_needs_protection(address: str, tokens: Path) -> None:
    own = ServerTls(Path("cert.pem"), Path("key.pem"))
    for access in (ServerAccess(), ServerAccess(own)):
        with pytest.raises(ListenError, match=r"--token-file .* --client-ca .* --insecure"):
            access.check_address(address)
    ServerAccess(token_file=tokens).check_address(address)
    ServerAccess(ServerTls(own.cert_file, own.key_file, Path("ca.pem"))).check_address(address)
    ServerAccess(insecure=True).check_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.3.2.1:80", "[::1]:0", "localhost:0", "unix:/run/x"])
def test_loopback_and_sockets_need_none(address: str) -> None:
    ServerAccess().check_address(address)


@pytest.mark.parametrize("app", [vlm_app, cloud_app], ids=["inarvl-vlm", "inarvl-cloud"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--listen", "0.0.0.0:0"], "anybody there could use this server"),
        (["--listen", "0.0.0.0:0", "--tls", "keys"], "anybody there could use this server"),
        (["--tls-cert", "cert.pem"], "--tls-cert and --tls-key belong together"),
        (["--tls", "keys", "--tls-key", "key.pem"], "not both"),
        (["--client-ca", "ca.pem"], "give --tls FOLDER too"),
        (["--tls", "keys"], "keys/cert.pem cannot be read (No such file or directory)"),
        (["--token-file", "/no/such/file"], "/no/such/file: the tokens cannot be read"),
        (["--token-file", "credential:t"], "this process has no credentials"),
        (
            ["--allowed-host", "http://x/"],
            "--allowed-host: 'http://x/' is neither a host name nor an address",
        ),
    ],
)
def test_the_commands_refuse_to_start_and_say_what_to_do(
    app: typer.Typer, options: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    serve = ["serve", "--model", "bundled:inarvl-edge-swift", "--listen", "127.0.0.1:0"]
    ran = CliRunner().invoke(app, [*serve, *options])
    assert ran.exit_code == 1
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
