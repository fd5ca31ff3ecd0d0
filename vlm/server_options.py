"""The options of commands that serve: TLS, tokens and allowed hosts.

Each file may also be `credential:NAME`, a credential of the systemd unit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inarvl.secret_file import secret_path
from inarvl.tls_files import BadTlsFile
from vlm.server_access import ServerAccess
from vlm.server_tls import ServerTls

Tls = Annotated[
    Path | None,
    typer.Option(help="Folder with cert.pem and key.pem, as `inarvl-cloud keygen peer` makes it."),
]
TlsCert = Annotated[Path | None, typer.Option(help="Certificate file for TLS, instead of --tls.")]
TlsKey = Annotated[Path | None, typer.Option(help="Key file of --tls-cert.")]
ClientCa = Annotated[
    Path | None, typer.Option(help="CA file; clients then need a certificate that this CA has signed.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="File of tokens, one on each line, or credential:NAME; requests then need one."),
]
AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        help="Further name under which clients reach this server, such as that of a proxy; repeatable."
    ),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Let everybody in who reaches --listen, for a demo or a home lab.")
]


def server_tls(
    tls: Path | None, tls_cert: Path | None, tls_key: Path | None, client_ca: Path | None = None
) -> ServerTls | None:
    """Returns the TLS that the options say; None for plain http.

    Raises:
        BadTlsFile: the options do not fit together.
        SecretUnavailable: the unit has no such credential.
    """
    client_ca = _path(client_ca)
    if tls is not None and (tls_cert is not None or tls_key is not None):
        raise BadTlsFile("give --tls FOLDER, or --tls-cert and --tls-key, not both")
    if tls is not None:
        return ServerTls.in_folder(tls, client_ca)
    if tls_cert is not None and tls_key is not None:
        return ServerTls(secret_path(tls_cert), secret_path(tls_key), client_ca)
    if tls_cert is not None or tls_key is not None:
        raise BadTlsFile("--tls-cert and --tls-key belong together: give both, or --tls FOLDER")
    if client_ca is not None:
        raise BadTlsFile("--client-ca needs the server's own certificate: give --tls FOLDER too")
    return None


def server_access(
    tls: ServerTls | None, token_file: Path | None, allowed_host: list[str] | None, insecure: bool
) -> ServerAccess:
    """Returns who may use the server, as the options say.

    Raises:
        SecretUnavailable: the unit has no such credential.
    """
    return ServerAccess(tls, _path(token_file), tuple(allowed_host or ()), insecure)


def _path(file: Path | None) -> Path | None:
    return None if file is None else secret_path(file)
