"""Reads the certificate and key files of TLS connections; every fault names its file."""

from __future__ import annotations

import ssl
from pathlib import Path

from inarvl.errors import InarvlError


class BadTlsFile(InarvlError):
    """A certificate or key file cannot be used; the message names it."""

    code = "bad_tls_file"


def client_context(
    ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Returns a context that verifies the server's certificate and host name.

    Args:
        ca_file: certificates of the CAs that may sign it; None for those of the system.
        cert_file: the client's own certificate, if the server requires one; its key may be in the same file.

    Raises:
        BadTlsFile: a file is missing, not readable, locked by a password, or has other content.
    """
    for path in (ca_file, cert_file, key_file):
        _check_readable(path)
    if key_file is not None and cert_file is None:
        raise BadTlsFile(f"{key_file} needs its certificate: set cert_file too")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        _load_ca(context, ca_file)
    if cert_file is not None:
        _load_pair(context, cert_file, key_file)
    return context


def server_context(cert_file: Path, key_file: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """Returns a context with which a server answers TLS 1.2 or newer.

    Args:
        client_ca: certificates of the CAs that sign those of clients; a client without one of these cannot
            connect. None if clients need no certificate.

    Raises:
        BadTlsFile: see `client_context`.
    """
    for path in (cert_file, key_file, client_ca):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client could make the server compute for nothing
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, cert_file, key_file)
    if client_ca is not None:
        _load_ca(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_readable(path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadTlsFile(
            f"{path} cannot be read ({error.strerror}): correct its path, or let this process read it"
        ) from None


def _load_ca(context: ssl.SSLContext, ca_file: Path) -> None:
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise BadTlsFile(f"{ca_file} has no certificate: write the CA's as PEM") from None


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    locked = False

    def password() -> str:
        nonlocal locked
        locked = True
        return ""

    try:
        context.load_cert_chain(cert, key, password)  # without a password, OpenSSL would ask on the terminal
    except ssl.SSLError as error:
        if locked:
            raise BadTlsFile(
                f"{key or cert} is locked by a password: write the key without it (`openssl pkey`)"
            ) from None
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadTlsFile(f"{key} is not the key of {cert}: use a pair") from None
        names = cert if key is None else f"{cert} and {key}"
        raise BadTlsFile(f"{names}: no certificate with its key, as PEM: write both") from None
