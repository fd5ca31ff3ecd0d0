"""How a server is called: by what it is known, with which key, and what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.config.peer_settings import Server
from vlm.client_tls import ClientTls


@dataclass(frozen=True)
class Access:
    """What the site file says about one of its servers; it holds for the server's own URL only.

    Attributes:
        models: the only models to use; empty for all.
        tls: None for a server without TLS.
        content: digest of the TLS files, which changes when a file is replaced.
    """

    models: tuple[str, ...] = ()
    api_key: str | None = field(default=None, repr=False)
    tls: ClientTls | None = None
    content: str = ""

    @classmethod
    def of(cls, server: Server, api_key: str | None) -> Access:
        """Returns the access to a server in the site file.

        Raises:
            BadTlsFile: one of its TLS files cannot be used.
        """
        tls = server.tls()
        if tls is not None:
            tls.context()
        return cls(server.models, api_key, tls, "" if tls is None else tls.content())
