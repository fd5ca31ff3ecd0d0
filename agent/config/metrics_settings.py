"""The section `metrics` of the site file: where Prometheus reads the metrics."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from agent.config.secret import SecretFile
from agent.config.yaml_file import Section
from inarvl.server_url import url_problem
from vlm.allowed_hosts import read_host
from vlm.sockets import is_exposed


def as_address(address: str, *, form: str = "host:port, such as 127.0.0.1:9464 or [::1]:9464") -> str:
    """Returns `address`; raises ValueError if it is not host:port."""
    problem = url_problem(f"http://{address}", ("http",))
    if problem is not None or urlsplit(f"http://{address}").port is None or "/" in address:
        raise ValueError(f"must be {form}")
    return address


def _as_host(host: str) -> str:
    read_host(host)
    return host


HostName = Annotated[str, AfterValidator(_as_host)]


class MetricsSettings(Section):
    """Where metrics are served, and to whom.

    Attributes:
        listen: host:port.
        token_file: tokens, one of which Prometheus must send; needed where other machines reach the address.
        allowed_hosts: names under which Prometheus reaches this board, besides its own.
    """

    listen: Annotated[str, AfterValidator(as_address)]
    token_file: SecretFile | None = None
    allowed_hosts: tuple[HostName, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: object) -> object:
        return {"listen": as_address(value)} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_not_open(self) -> MetricsSettings:
        if self.token_file is None and is_exposed(self.listen):
            raise ValueError(
                f"other machines reach {self.listen}: write 127.0.0.1:PORT, or a section with listen and "
                "token_file (`inarvl-cloud keygen token FILE` makes one)"
            )
        return self
