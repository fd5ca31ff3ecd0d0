"""The section `http` of the site file: where queries over HTTP are received, and from whom."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, field_validator, model_validator

from agent.config.metrics_settings import HostName, as_address
from agent.config.page_settings import PageSettings
from agent.config.secret import SecretFile
from agent.config.yaml_file import Section
from inarvl.server_url import socket_problem
from vlm.sockets import is_exposed


def _as_socket_or_address(listen: str) -> str:
    if not listen.lower().startswith("unix:"):
        return as_address(listen, form="unix:/path of a socket, or host:port such as 127.0.0.1:8030")
    problem = socket_problem(listen)
    if problem is not None:
        raise ValueError(problem)
    return listen


class HttpSettings(Section):
    """Where the agent is reached over HTTP, and by whom.

    Attributes:
        listen: unix:/path or host:port.
        token_file: tokens, one of which every request must have; needed where other machines reach the
            address. A line `NAME:TOKEN` names the client that has this token.
        allowed_hosts: names under which clients reach this board, besides its own.
        page: what the page for operators shows; None for no page.
    """

    listen: Annotated[str, AfterValidator(_as_socket_or_address)]
    token_file: SecretFile | None = None
    allowed_hosts: tuple[HostName, ...] = ()
    page: PageSettings | None = None

    @field_validator("page", mode="before")
    @classmethod
    def _from_switch(cls, value: object) -> object:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: object) -> object:
        return {"listen": _as_socket_or_address(value)} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_not_open(self) -> HttpSettings:
        if self.token_file is None and is_exposed(self.listen):
            raise ValueError(
                f"other machines reach {self.listen}: write unix:/PATH, 127.0.0.1:PORT, or also token_file "
                "(`inarvl-cloud keygen token FILE` makes one)"
            )
        return self
