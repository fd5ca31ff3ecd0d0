"""The commands `inarvl-cloud keygen …`: a CA, keys and certificates of peers and devices, and tokens."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from cloud.certificate_authority import (
    CA,
    CA_KEY,
    PUBLIC,
    SECRET,
    CertificateAuthority,
    Issued,
    KeygenFailed,
    make_folder,
    replace,
    write_new,
)
from inarvl.server_url import url_problem
from inarvl.terminal import explained
from vlm.certificate import Certificate
from vlm.server_tls import CERT, KEY

app = typer.Typer(
    help="Make the CA of this site, keys and certificates of its peers and devices, and tokens.",
    no_args_is_help=True,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TOKEN = "token"
DAYS = 825
PORT = 8020

Folder = Annotated[Path, typer.Option(help="Folder of the CA and of all that it signs. Keep it secret.")]
Name = Annotated[str, typer.Argument(help="Name of the peer or device: letters, digits and -._")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="Days for which the certificate is valid.")]
KEYS = Path("keys")


@app.command("ca")
def ca_command(
    folder: Folder = KEYS,
    name: Annotated[str, typer.Option(help="Name in the CA's certificate.")] = "inarvl CA",
) -> None:
    """Make the CA, once."""
    with explained("inarvl-cloud"):
        if not 0 < len(name) <= 64 or not name.isprintable():
            raise KeygenFailed("--name must have 1 to 64 printable characters")
        authority = CertificateAuthority.create(folder, name, _now())
        typer.echo(
            f"{folder / CA}      the CA's certificate, valid until {authority.ends_at:%Y-%m-%d}; not secret"
        )
        typer.echo(
            f"{folder / CA_KEY}  its key: secret, leave it on this machine, and make a copy of the folder"
        )
        typer.echo("next: inarvl-cloud keygen peer NAME HOST..., inarvl-cloud keygen device NAME")


@app.command("peer")
def peer_command(
    name: Name,
    hosts: Annotated[
        list[str],
        typer.Argument(metavar="HOST...", help="Names and addresses at which devices reach the peer."),
    ],
    folder: Folder = KEYS,
    days: Days = DAYS,
    token: Annotated[bool, typer.Option("--token", help="Make a token too.")] = False,
) -> None:
    """Make key and certificate of a peer."""
    with explained("inarvl-cloud"):
        for host in hosts:
            _check_host(host)
        own = _new_folder(folder, name)
        _issue(folder, name, hosts, days)
        if token:
            write_new(own / TOKEN, _new_token(), SECRET)
        _report_peer(own, name, hosts)


@app.command("device")
def device_command(name: Name, folder: Folder = KEYS, days: Days = DAYS) -> None:
    """Make key and certificate of a device."""
    with explained("inarvl-cloud"):
        own = _new_folder(folder, name)
        _issue(folder, name, (), days)
        _report_files(own, name, f"certificate of the device {name}")
        typer.echo("\nlines of a peer in the site file of this device, if the peer requires a certificate:")
        typer.echo("    cert_file: /etc/inarvl/tls/cert.pem")
        typer.echo("    key_file: /etc/inarvl/tls/key.pem")


@app.command("renew")
def renew_command(name: Name, folder: Folder = KEYS, days: Days = DAYS) -> None:
    """Make a new key and certificate with the same names."""
    with explained("inarvl-cloud"):
        own = folder / _checked(name)
        hosts = Certificate.read(own / CERT).hosts
        _issue(folder, name, hosts, days)
        if hosts:
            _report_peer(own, name, hosts)
        else:
            _report_files(own, name, f"certificate of the device {name}")
        typer.echo("copy these files again; a peer's fingerprint has changed, the CA has not")


@app.command("revoke")
def revoke_command(name: Name, folder: Folder = KEYS) -> None:
    """Revoke the certificate of a peer or device, such as that of a stolen board."""
    with explained("inarvl-cloud"):
        path = folder / _checked(name) / CERT
        authority = CertificateAuthority.open(folder)
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            raise KeygenFailed(f"{path} has no certificate: is it the right --folder and name?") from None
        authority.revoke(certificate, _now())
        typer.echo(
            f"{folder / CA} now names the certificate of {name} as revoked: copy it to every peer again,"
        )
        typer.echo(
            "to the path of its --client-ca; a running server reads it. Where devices check peers by it, too."
        )
        typer.echo(
            f"for another certificate with this name: inarvl-cloud keygen renew {name} --folder {folder}"
        )


@app.command("token")
def token_command(
    file: Annotated[Path, typer.Argument(help="File to write.")],
    add: Annotated[
        bool, typer.Option("--add", help="Add it to the tokens in the file, to change from one to another.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The client that gets this token, for `http` in the agent's site file.")
    ] = None,
) -> None:
    """Make a token of 256 random bits, for --token-file, token_file and api_key_file."""
    with explained("inarvl-cloud"):
        if name is not None and NAME.fullmatch(name) is None:
            raise KeygenFailed("--name must have 1 to 63 letters, digits and ._-")
        line = _new_token() if name is None else f"{name}:".encode() + _new_token()
        if add:
            try:
                before = file.read_bytes()
            except OSError as error:
                raise KeygenFailed(f"{file} cannot be read ({error.strerror}): leave out --add") from None
            replace(file, line + before, file.stat().st_mode & 0o770)
            typer.echo(
                f"{file}: a new token in the first line. Give it to the clients, then remove the old one."
            )
        else:
            write_new(file, line, SECRET)
            typer.echo(
                f"{file}: a token. Copy the file to the peer (--token-file) and the devices (api_key_file)."
            )


def _issue(folder: Path, name: str, hosts: Sequence[str], days: int) -> None:
    authority = CertificateAuthority.open(folder)
    issued: Issued = authority.issue(name, hosts, _now(), days)
    own = folder / name
    make_folder(own)
    replace(own / KEY, issued.key, SECRET)
    replace(own / CERT, issued.certificate, PUBLIC)
    replace(own / CA, authority.pem(), PUBLIC)


def _new_folder(folder: Path, name: str) -> Path:
    own = folder / _checked(name)
    if own.exists():
        raise KeygenFailed(
            f"{own} exists: `inarvl-cloud keygen renew {name}` makes a new certificate with the same names; "
            "for other names, remove the folder first"
        )
    return own


def _report_peer(own: Path, name: str, hosts: Sequence[str]) -> None:
    _report_files(own, name, f"certificate of the peer {name} for {', '.join(hosts)}")
    host = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    typer.echo("\nlines in the site file of each device:")
    typer.echo(f"peers:\n  - id: {name}\n    url: https://{host}:{PORT}\n    ca_file: /etc/inarvl/tls/ca.pem")
    if (own / TOKEN).exists():
        typer.echo(f"    api_key_file: /etc/inarvl/{name}.token   # a copy of {own / TOKEN}")
    typer.echo("or, to trust every peer that announces itself and has a certificate of this CA:")
    typer.echo("discovery:\n  trust:\n    ca_file: /etc/inarvl/tls/ca.pem")


def _report_files(own: Path, name: str, kind: str) -> None:
    certificate = Certificate.read(own / CERT)
    typer.echo(f"{own / CERT}  {kind}")
    typer.echo(f"{own / KEY}   its key: secret")
    typer.echo(f"{own / CA}    the CA's certificate, to check the others by")
    if (own / TOKEN).exists():
        typer.echo(f"{own / TOKEN}     the token: secret")
    typer.echo(f"SHA-256 fingerprint: {certificate.fingerprint}")
    typer.echo(
        f"valid until {certificate.ends_at:%Y-%m-%d}: before then, run `inarvl-cloud keygen renew {name} "
        f"--folder {own.parent}` and copy the files again"
    )


def _checked(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise KeygenFailed(f"{name!r} is no name: write 1 to 63 letters, digits and -._, no path")
    return name


def _check_host(host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        plain = host.isascii() and not set(host) & set(":/*")
        if not plain or url_problem(f"https://{host}", ("https",)):
            raise KeygenFailed(
                f"{host!r} is no host name or address: write it as gpu-1.example.net or 10.0.0.7, without "
                "https:// and without a port; other letters than a to z as in DNS (xn--…)"
            ) from None


def _new_token() -> bytes:
    return secrets.token_urlsafe(32).encode() + b"\n"


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
