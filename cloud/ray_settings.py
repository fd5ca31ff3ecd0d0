"""The settings of the application on Ray Serve; can be read where Ray is not installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from inarvl.errors import InarvlError
from vlm.checkpoint import Checkpoint, Device, Quantization
from vlm.server import ServeOptions
from vlm.server_access import ServerAccess


class RayFailed(InarvlError):
    """The application cannot be deployed on Ray Serve, or no longer answers."""

    code = "ray_failed"


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


class RaySettings(BaseModel):
    """The settings of the application.

    Attributes:
        model: checkpoints, as for `inarvl-vlm serve`: a list, or a text with commas.
        queue: questions that may wait in one replica; more are refused as busy.
        replicas: minimum number of replicas.
        max_replicas: maximum number of replicas; None for exactly `replicas`.
        target_ongoing: mean number of questions in a replica, waiting or running; above it Ray adds replicas.
        upscale_delay_s, downscale_delay_s: how long the load must be higher or lower before Ray acts.
        token_file: tokens, of which every request needs one; on each machine where an ingress runs, or None.
        allowed_hosts: names and addresses of Ray's HTTP proxies, besides those of the cluster's machines.
        insecure: whether a deployment with Ray's own tools may be without tokens.
        cpus, gpus: what Ray reserves for each replica. A replica without a reserved GPU sees none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[tuple[str, ...], BeforeValidator(_split), Field(min_length=1)]
    quantization: Quantization = "none"
    device: Device = "auto"
    max_tokens: int = Field(64, ge=1)
    queue: int = Field(32, ge=1)
    threads: int | None = Field(None, ge=1)
    batch: int = Field(1, ge=1)
    batch_wait_ms: float = Field(0.0, ge=0)
    drain_s: float = Field(10.0, ge=0)
    replicas: int = Field(2, ge=1)
    max_replicas: int | None = Field(None, ge=1)
    target_ongoing: float = Field(2.0, gt=0)
    upscale_delay_s: float = Field(10.0, ge=0)
    downscale_delay_s: float = Field(300.0, ge=0)
    cpus: float = Field(1.0, ge=0)
    gpus: float = Field(0.0, ge=0)
    token_file: Path | None = None
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    insecure: bool = False

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> RaySettings:
        """Validates settings.

        Raises:
            RayFailed: a setting is unknown or invalid.
        """
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
            raise RayFailed(f"invalid settings: {'; '.join(problems)}") from None
        if settings.most_replicas < settings.replicas:
            raise RayFailed(f"max_replicas must be at least replicas, which is {settings.replicas}")
        return settings

    @property
    def most_replicas(self) -> int:
        """Maximum number of replicas."""
        return self.max_replicas or self.replicas

    def check_deployment(self) -> None:
        """Checks that the application may be deployed at an address that is not known here.

        Raises:
            RayFailed: it is open to everybody who reaches that address.
        """
        if self.token_file is None and not self.insecure:
            raise RayFailed(
                "everybody who reaches Ray's HTTP proxy could use the models: add token_file=FILE to the "
                "settings (`inarvl-cloud keygen token FILE` makes it), or insecure=true for a demo"
            )

    def access(self, hosts: Iterable[str] = ()) -> ServerAccess:
        """Returns who may use the application.

        Args:
            hosts: further names and addresses of Ray's HTTP proxies.
        """
        return ServerAccess(None, self.token_file, (*self.allowed_hosts, *hosts), self.insecure)

    def serve_options(self) -> ServeOptions:
        """Returns the options of a replica's model server, without an address.

        Raises:
            ModelLoadError: a checkpoint does not exist.
        """
        return ServeOptions(
            models=tuple(Checkpoint.at(source, self.quantization, None) for source in self.model),
            listen="",
            device=self.device,
            max_tokens=self.max_tokens,
            queue=self.queue,
            threads=self.threads,
            drain_s=self.drain_s,
            batch=self.batch,
            batch_wait_s=self.batch_wait_ms / 1000,
        )
