"""The TLS settings of a connection, from the files of the site."""

from __future__ import annotations

import ssl
from pathlib import Path

from agent.messages.mqtt_options import MqttOptions
from inarvl.errors import InarvlError


class BadTlsFile(InarvlError):
    """A certificate or key file cannot be used; the message names it."""

    code = "bad_tls_file"


def tls_context(options: MqttOptions) -> ssl.SSLContext:
    """Returns a context that verifies the broker's certificate and host name.

    Raises:
        BadTlsFile: a file is missing, not readable, locked by a password, or has other content.
    """
    for path in (options.ca_file, options.cert_file, options.key_file):
        _check_readable(path)
    if options.key_file is not None and options.cert_file is None:
        raise BadTlsFile(f"{options.key_file} needs its certificate: set cert_file too")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(options.ca_file)
        except ssl.SSLError:
            raise BadTlsFile(f"{options.ca_file} has no certificate: write the CA's as PEM") from None
    if options.cert_file is not None:
        _load_pair(context, options.cert_file, options.key_file)
    return context


def _check_readable(path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadTlsFile(
            f"{path} cannot be read ({error.strerror}): correct its path, or make it readable for the agent"
        ) from None


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
