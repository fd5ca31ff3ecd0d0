"""`inarvl-cloud keygen`: what it makes, whom OpenSSL then accepts, and what it refuses."""

from __future__ import annotations

import base64
import re
import ssl
import stat
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

from cloud.certificate_authority import CertificateAuthority, KeygenFailed
from cloud.cli import app
from inarvl.tls_files import client_context, server_context
from vlm.bearer_tokens import BearerTokens
from vlm.certificate import Certificate

NOW = datetime.now(timezone.utc).replace(microsecond=0)
Keygen = Callable[..., str]


@pytest.fixture
def keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keygen:
    """Runs the command in a folder of its own; returns what it prints, or the error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0) -> str:
        ran = CliRunner().invoke(app, ["keygen", *arguments])
        assert ran.exit_code == status, ran.output
        return ran.stderr if status else ran.stdout

    return run


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """Raises what either side finds wrong."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for side in sides:
        assert side.version() == "TLSv1.3"
    sides[1].write(b"x")
    assert sides[0].read() == b"x"


@pytest.mark.parametrize("host", ["gpu-1.example.net", "10.0.0.7", "fd00::7"])
def test_peer_and_device_accept_each_other_by_strict_rules(keygen: Keygen, host: str) -> None:
    keygen("ca")
    keygen("peer", "gpu-1", "gpu-1.example.net", "10.0.0.7", "fd00::7")
    keygen("device", "gate-3")
    peer, device = Path("keys/gpu-1"), Path("keys/gate-3")
    client = client_context(device / "ca.pem", device / "cert.pem", device / "key.pem")
    server = server_context(peer / "cert.pem", peer / "key.pem", peer / "ca.pem")
    for context in (client, server):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    shake_hands(client, server, host)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(Hostname|IP address) mismatch"):
        shake_hands(client, server, "10.0.0.8" if host[0] != "g" else "gpu-2.example.net")


def test_keys_are_secret_and_on_p_256(keygen: Keygen) -> None:
    keygen("ca")
    keygen("peer", "gpu-1", "10.0.0.7", "--token")
    secret = ("ca-key.pem", "gpu-1/key.pem", "gpu-1/token")
    for name in secret:
        assert stat.S_IMODE((Path("keys") / name).stat().st_mode) == 0o600
    assert (
        stat.S_IMODE(Path("keys").stat().st_mode) == stat.S_IMODE(Path("keys/gpu-1").stat().st_mode) == 0o700
    )
    for name in secret[:2]:
        key = load_pem_private_key((Path("keys") / name).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_it_prints_fingerprint_lifetime_and_the_lines_of_the_site_file(keygen: Keygen) -> None:
    keygen("ca")
    printed = keygen("peer", "gpu-1", "gpu-1.example.net", "--token")
    written = Certificate.read(Path("keys/gpu-1/cert.pem"))
    ssl_form = ssl.PEM_cert_to_DER_cert(Path("keys/gpu-1/cert.pem").read_text())
    assert re.search(r"fingerprint: ([0-9a-f]{64})", printed)[1] == written.fingerprint  # type: ignore[index]
    assert x509.load_der_x509_certificate(ssl_form)
    days = (written.ends_at - NOW).days
    assert 820 < days <= 825
    assert (
        f"valid until {written.ends_at:%Y-%m-%d}: before then, run `inarvl-cloud keygen renew gpu-1"
        in printed
    )
    for line in ("- id: gpu-1", "url: https://gpu-1.example.net:8020", "ca_file: ", "api_key_file: "):
        assert line in printed
    token = Path("keys/gpu-1/token").read_text().strip()
    assert token not in printed


def test_a_token_has_256_random_bits_and_is_valid(keygen: Keygen) -> None:
    keygen("token", "a")
    keygen("token", "b")
    first, second = (Path(name).read_text().strip() for name in ("a", "b"))
    assert first != second
    assert len(base64.urlsafe_b64decode(first + "=")) == 32
    assert stat.S_IMODE(Path("a").stat().st_mode) == 0o600
    keygen("token", "a", "--add")
    assert Path("a").read_text().splitlines()[1:] == [first]
    assert stat.S_IMODE(Path("a").stat().st_mode) == 0o600
    tokens = BearerTokens(Path("a"))
    assert all(tokens.accept(f"Bearer {line}") for line in Path("a").read_text().splitlines())


def test_a_token_may_belong_to_a_client(keygen: Keygen) -> None:
    keygen("token", "a", "--name", "camera-1")
    name, token = Path("a").read_text().strip().split(":")
    assert BearerTokens(Path("a")).name_of(f"Bearer {token}") == name == "camera-1"
    assert "--name" in keygen("token", "b", "--name", "a:b", status=1)


def test_nothing_is_overwritten(keygen: Keygen) -> None:
    keygen("ca")
    keygen("peer", "gpu-1", "10.0.0.7", "--token")
    keygen("token", "token")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert "keys/ca.pem exists" in keygen("ca", status=1)
    assert "keygen renew gpu-1" in keygen("peer", "gpu-1", "10.0.0.7", status=1)
    assert "keygen renew gpu-1" in keygen("device", "gpu-1", status=1)
    assert "token exists" in keygen("token", "token", status=1)
    Path("keys/ca.pem").unlink()
    assert "keys/ca-key.pem exists" in keygen("ca", status=1)
    del before[Path("keys/ca.pem")]
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_renewed_certificate_has_the_same_names_and_another_key(keygen: Keygen) -> None:
    keygen("ca")
    keygen("peer", "gpu-1", "gpu-1.example.net", "10.0.0.7")
    old, key = Certificate.read(Path("keys/gpu-1/cert.pem")), Path("keys/gpu-1/key.pem").read_bytes()
    keygen("renew", "gpu-1", "--days", "30")
    new = Certificate.read(Path("keys/gpu-1/cert.pem"))
    assert (new.hosts, new.is_for_servers, new.is_for_clients) == (old.hosts, True, False)
    assert new.fingerprint != old.fingerprint
    assert Path("keys/gpu-1/key.pem").read_bytes() != key
    server_context(Path("keys/gpu-1/cert.pem"), Path("keys/gpu-1/key.pem"))


def test_a_revoked_peer_is_refused_by_devices_too(keygen: Keygen) -> None:
    keygen("ca")
    for name in ("gpu-1", "gpu-2"):
        keygen("peer", name, "10.0.0.7")
    keygen("revoke", "gpu-1")
    servers = [
        server_context(Path(f"keys/{n}/cert.pem"), Path(f"keys/{n}/key.pem")) for n in ("gpu-1", "gpu-2")
    ]
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        shake_hands(client_context(Path("keys/ca.pem")), servers[0], "10.0.0.7")
    shake_hands(client_context(Path("keys/ca.pem")), servers[1], "10.0.0.7")
    keygen("revoke", "gpu-2")
    for server in servers:
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
            shake_hands(client_context(Path("keys/ca.pem")), server, "10.0.0.7")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("peer", "gpu-1", "10.0.0.7"), "make one with `inarvl-cloud keygen ca`"),
        (("peer", "../etc", "10.0.0.7"), "letters, digits and -._, no path"),
        (("peer", "/etc", "10.0.0.7"), "no path"),
        (("device", ".."), "no path"),
        (("device", "a b"), "letters, digits"),
        (("device", "x" * 64), "1 to 63"),
        (("revoke", "../a"), "no path"),
        (("renew", "gpu-9"), "cannot be read"),
        (("peer", "gpu-1", "https://gpu-1"), "without https:// and without a port"),
        (("peer", "gpu-1", "gpu-1:8020"), "without https:// and without a port"),
        (("peer", "gpu-1", "*.example.net"), "no host name or address"),
        (("peer", "gpu-1", "a..b"), "no host name or address"),
        (("peer", "gpu-1", "10.0.0"), "no host name or address"),
        (("peer", "gpu-1", "gpü-1"), "no host name or address"),
        (("peer", "gpu-1", ""), "no host name or address"),
        (("ca", "--name", ""), "1 to 64 printable characters"),
        (("ca", "--folder", "/proc/keys"), "cannot be made"),
        (("token", "/no/such/folder/token"), "cannot be written"),
        (("token", "missing", "--add"), "leave out --add"),
    ],
)
def test_bad_input_gets_one_line_that_says_what_to_do(
    keygen: Keygen, arguments: tuple[str, ...], message: str
) -> None:
    error = keygen(*arguments, status=1)
    assert message in error
    assert error.count("\n") == 1
    assert not Path("keys").exists()


def test_files_that_are_no_ca_are_refused(keygen: Keygen) -> None:
    keygen("ca", "--folder", "one")
    keygen("ca", "--folder", "two")
    Path("one/ca-key.pem").write_bytes(Path("two/ca-key.pem").read_bytes())
    assert "is not the key of" in keygen("device", "d", "--folder", "one", status=1)
    Path("one/ca-key.pem").write_text("no key")
    assert "are no CA with its key" in keygen("device", "d", "--folder", "one", status=1)
    keygen("device", "d", "--folder", "two")
    keygen("ca", "--folder", "three")
    keygen("device", "d", "--folder", "three")
    Path("three/d/cert.pem").write_bytes(Path("two/d/cert.pem").read_bytes())
    assert "another CA has signed" in keygen("revoke", "d", "--folder", "three", status=1)


def test_no_certificate_is_valid_longer_than_its_ca(tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path, "old", NOW - timedelta(days=3640))
    issued = authority.issue("gpu-1", ["10.0.0.7"], NOW, 825)
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    assert certificate.not_valid_after_utc == authority.ends_at
    with pytest.raises(KeygenFailed, match="has ended"):
        authority.issue("gpu-1", ["10.0.0.7"], NOW + timedelta(days=11), 825)
