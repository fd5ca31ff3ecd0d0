"""Runs the application on a Ray cluster: on this machine alone, or on a cluster that runs already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve

from cloud.ray_app import build
from cloud.ray_settings import RayFailed, RaySettings
from inarvl.errors import InarvlError
from vlm.server_tls import ServerTls
from vlm.sockets import host_and_port, listening

APP = "inarvl"
OBJECT_STORE_BYTES = 256 * 2**20  # request bodies in transit; by default Ray reserves 30% of the memory


@contextmanager
def running(
    settings: RaySettings, *, listen: str, cluster: str | None, tls: ServerTls | None = None
) -> Iterator[None]:
    """Runs the application until the end of the block; all minimum replicas are ready at its begin.

    Args:
        listen: host:port of Ray's HTTP proxy.
        tls: the certificate and key of that proxy; None for plain http.
        cluster: address of a Ray cluster, or "auto"; None to start Ray on this machine alone.

    Raises:
        RayFailed: Ray cannot be started or reached, or a replica cannot.
        ListenError: the address cannot be used.
        BadTokenFile: the tokens cannot be read.
        ModelLoadError: a checkpoint does not exist.
    """
    settings.serve_options()  # before Ray starts, because it reports missing checkpoints
    settings.access().request_check("localhost:0")
    host, port = host_and_port(listen)
    try:
        if cluster is None:
            _check_processors(settings)
            with listening(listen):
                pass
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES)
        else:
            ray.init(address=cluster)
        encrypted = (
            {} if tls is None else {"ssl_certfile": str(tls.cert_file), "ssl_keyfile": str(tls.key_file)}
        )
        serve.start(http_options={"host": host, "port": port, **encrypted})
        serve.run(build(settings), name=APP, route_prefix="/")
    except InarvlError:
        raise
    except Exception as error:  # Ray also raises Exception itself
        ray.shutdown()
        raise RayFailed(f"the application cannot be started on Ray: {error}") from error
    try:
        yield
    finally:
        if cluster is None:
            serve.shutdown()
        else:
            serve.delete(APP)
        ray.shutdown()


def _check_processors(settings: RaySettings) -> None:
    processors = os.cpu_count() or 1
    if settings.replicas * settings.cpus > processors:
        raise RayFailed(
            f"{settings.replicas} replicas with {settings.cpus:g} CPUs each need more than the {processors} "
            "CPUs of this machine; lower --replicas or --cpus, or name a cluster with --cluster"
        )
