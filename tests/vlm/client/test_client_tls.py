"""A server proves who it is before the first byte of a request; each failure is named in one line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates

from inarvl.tls_files import BadTlsFile
from lab.rig.hostile.cases import http
from lab.rig.hostile.recorder import Recorder
from vlm.client import VlmClient
from vlm.client_tls import ClientTls, read_fingerprint
from vlm.errors import VlmError, VlmUnavailable, VlmUntrusted

pytestmark = pytest.mark.anyio
KEY = "secret-key"


@pytest.fixture
def site(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def ask(url: str, tls: ClientTls | None, **options: Any) -> str:
    client = VlmClient(url, api_key=KEY, tls=tls, **options)
    try:
        completion = await client.complete("?", b"\xff\xd8", model="m", max_tokens=4, timeout_s=20)
    finally:
        await client.aclose()
    return completion.text


async def test_a_server_with_a_certificate_of_the_ca_for_its_host_gets_question_and_key(
    site: Certificates,
) -> None:
    async with Recorder(site.server("127.0.0.1").context).running() as server:
        url = f"https://127.0.0.1:{server.port}"
        assert await ask(url, ClientTls(site.ca_file)) == "yes"
    assert (server.questions, server.images, server.keys) == (1, 1, 1)


async def test_a_server_with_the_pinned_certificate_needs_no_known_ca(site: Certificates) -> None:
    certificate = site.server("elsewhere", by=site.other_ca)
    pins = ("0" * 64, certificate.fingerprint)
    async with Recorder(certificate.context).running() as server:
        url = f"https://127.0.0.1:{server.port}"
        assert await ask(url, ClientTls(fingerprint=certificate.fingerprint)) == "yes"
        assert await ask(url, ClientTls(fingerprints=pins)) == "yes"
        assert server.questions == 2
        with pytest.raises(VlmUntrusted, match="CA that is not known"):  # with a CA too, both must hold
            await ask(url, ClientTls(site.ca_file, fingerprint=certificate.fingerprint))
    assert server.questions == 2


async def test_a_server_that_wants_a_certificate_gets_the_devices_also_if_it_is_pinned(
    site: Certificates,
) -> None:
    certificate = site.server("127.0.0.1", wants_client=True)
    async with Recorder(certificate.context).running() as server:
        url = f"https://127.0.0.1:{server.port}"
        for tls in (ClientTls(site.ca_file), ClientTls(fingerprint=certificate.fingerprint)):
            assert await ask(url, replace(tls, **site.device())) == "yes"
            with pytest.raises(VlmUnavailable, match=r"requires a client certificate(:|,) set cert_file"):
                await ask(url, tls)
    assert server.questions == 2


@pytest.mark.parametrize(
    ("hosts", "options", "named"),
    [
        (("127.0.0.1",), {"by": "other"}, "signed by a CA that is not known here: name the CA"),
        (("gpu.example",), {}, "its certificate is for another name"),
        (("127.0.0.1",), {"expired": True}, "its certificate has expired: renew it"),
    ],
    ids=["unknown CA", "other host", "expired"],
)
async def test_a_server_that_proves_nothing_is_sent_no_byte(
    site: Certificates, hosts: tuple[str, ...], options: dict[str, Any], named: str
) -> None:
    options = {**options, "by": site.other_ca if "by" in options else site.ca}
    async with Recorder(site.server(*hosts, **options).context).running() as server:
        with pytest.raises(VlmUntrusted, match=named) as raised:
            await ask(f"https://127.0.0.1:{server.port}", ClientTls(site.ca_file))
        with pytest.raises(VlmUntrusted, match="CA that is not known"):
            await ask(f"https://127.0.0.1:{server.port}", None)
    assert "\n" not in str(raised.value)
    assert raised.value.connected is False
    assert server.received == b""


async def test_a_server_with_another_fingerprint_is_sent_no_byte(site: Certificates) -> None:
    shown, pinned = site.server("127.0.0.1"), site.server("127.0.0.1")
    async with Recorder(shown.context).running() as server:
        url = f"https://127.0.0.1:{server.port}"
        for tls in (ClientTls(fingerprint=pinned.fingerprint), ClientTls(fingerprints=("0" * 64, "1" * 64))):
            with pytest.raises(VlmUntrusted, match=f"has the fingerprint {shown.fingerprint}"):
                await ask(url, tls)
        with pytest.raises(VlmUntrusted, match="not the trusted one"):
            await ask(url, ClientTls(site.ca_file, fingerprint=pinned.fingerprint))
    assert server.connections == 3, "there was TLS, but no request"
    assert server.received == b""


async def test_a_server_without_tls_at_an_https_url_is_named_and_sent_no_request() -> None:
    async with Recorder().running() as server:
        with pytest.raises(VlmUnavailable, match="does not use TLS on this port"):
            await ask(f"https://127.0.0.1:{server.port}", None)
    assert server.questions == 0
    assert KEY.encode() not in server.received


async def test_a_server_with_tls_at_an_http_url_is_named(site: Certificates) -> None:
    async with Recorder(site.server("127.0.0.1").context).running() as server:
        with pytest.raises(VlmUnavailable, match=r"whether it expects TLS|disconnected"):
            await ask(f"http://127.0.0.1:{server.port}", None)
    assert server.received == b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with Recorder().running() as goal, Recorder().running() as server:
        server.reply = http(b"", status, (f"Location: http://127.0.0.1:{goal.port}/v1/chat/completions",))
        with pytest.raises(VlmError):
            await ask(f"http://127.0.0.1:{server.port}", None)
    assert server.keys
    assert goal.connections == 0


async def test_a_name_that_resolves_to_a_refused_address_is_not_connected_to() -> None:
    """The check sees the addresses that are connected to, whatever the name resolved to before."""
    checked = []

    def problem(address: str, port: int) -> str | None:
        checked.append((address, port))
        return "must not have this address"

    async with Recorder().running() as server:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(VlmUnavailable, match="must not have this address"):
                await ask(f"http://{host}:{server.port}", None, address_problem=problem)
    assert ("127.0.0.1", server.port) in checked
    assert server.connections == 0


def test_files_that_cannot_be_used_are_named(site: Certificates, tmp_path: Path) -> None:
    for tls in (ClientTls(tmp_path / "none"), ClientTls(site.ca_file, site.ca_file)):
        with pytest.raises(BadTlsFile, match=re.escape(str(tmp_path))):
            VlmClient("https://a", tls=tls)


def test_a_replaced_file_changes_the_content_digest(site: Certificates, tmp_path: Path) -> None:
    tls = ClientTls(site.ca_file)
    before = tls.content()
    assert tls.content() == before
    site.other_ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert tls.content() != before


@pytest.mark.parametrize("text", ["", "AB:CD", "g" * 64, "a" * 63, "a" * 65, "sha256:" + "a" * 64])
def test_a_fingerprint_has_64_hexadecimal_digits(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        read_fingerprint(text)


def test_colons_and_case_of_a_fingerprint_do_not_matter() -> None:
    assert read_fingerprint(":".join(["aB"] * 32)) == "ab" * 32
