"""Why a connection to a server failed, and what to do, in one line."""

from __future__ import annotations

import re
import socket
import ssl

# Verification errors of OpenSSL, X509_V_ERR_*.
NOT_YET_VALID, EXPIRED = 9, 10
UNKNOWN_CA = (2, 18, 19, 20, 21)
OTHER_NAME = (62, 64)
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
WANTS_CERTIFICATE = ("ALERT_CERTIFICATE_REQUIRED", "ALERT_HANDSHAKE_FAILURE")
REJECTS_CERTIFICATE = (
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_CERTIFICATE_REVOKED",
)
SSL_REASON = re.compile(r"\[SSL: (\w+)\]")


def connection_problem(error: BaseException | str) -> str:
    """Returns what is wrong and what to do.

    Args:
        error: what the connection raised, or its text, as libraries that hide the error log it.
    """
    if isinstance(error, ConnectionResetError | ssl.SSLEOFError):
        return "it closes the connection immediately: check the port, and whether it expects TLS"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_problem(error)
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    if reason is None and (found := SSL_REASON.search(str(error))) is not None:
        reason = found[1]
    if reason is not None:
        return _tls_problem(reason)
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror}): check the name and this machine's DNS"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at this address: check that the server runs, and the port"
    if isinstance(error, TimeoutError):
        return "it does not answer: check the address, the network and firewalls"
    if isinstance(error, FileNotFoundError):
        return "there is no such socket: check that the server runs, and the path"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: check the address and the network"
    return str(error) or type(error).__name__


def _certificate_problem(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == EXPIRED:
        return "its certificate has expired: renew it, or set this machine's clock if that is wrong"
    if code == NOT_YET_VALID:
        return "its certificate is not valid yet: set the clock of this machine"
    if code in OTHER_NAME:
        return f"its certificate is for another name ({error.verify_message}): use the certificate's name"
    if code in UNKNOWN_CA:
        return (
            "its certificate is signed by a CA that is not known here: name the CA's certificate in ca_file, "
            "or install it on this machine"
        )
    return f"its certificate is not valid ({error.verify_message}): replace it"


def _tls_problem(reason: str) -> str:
    if reason in NOT_TLS:
        return "it does not use TLS on this port: use the URL without TLS, or the port for TLS"
    if reason.endswith(WANTS_CERTIFICATE):
        return "it requires a client certificate: set cert_file and key_file"
    if reason.endswith(REJECTS_CERTIFICATE):
        return f"it rejects the client certificate ({reason}): use one that is signed by its CA and valid"
    return f"TLS failed ({reason}): compare the TLS settings of both sides"
