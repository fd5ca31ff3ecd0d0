"""The model server as a Ray Serve application, for more questions than one machine can answer.

1. Each replica is a complete model server with its own copy of the models: see `cloud.ray_replica`.
2. Ray's HTTP proxy passes every request to the ingress, which passes it to a replica. If that replica dies
   before it has answered, the ingress asks another one: see `cloud.ray_ingress`.
3. Ray replaces replicas that end, and changes their number with the questions in progress.

`inarvl-cloud ray`, `serve run cloud.ray_app:app model=...` and Ray Serve's configuration files deploy it.
"""

from __future__ import annotations

from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from cloud.ray_ingress import Ingress
from cloud.ray_replica import Replica
from cloud.ray_settings import RaySettings

HEALTH_CHECK_S = 5.0
WITHOUT_ACCESS_LOG = LoggingConfig(enable_access_log=False)
PROBES = 32  # requests in a replica that are no questions
CONSTRUCTOR_RETRIES = 3
INGRESSES = 2  # the requests in an ingress are lost with it, and the other one continues
INGRESS_REQUESTS = 10_000


def app(args: dict[str, Any]) -> Application:
    """Builds the application from the fields of `RaySettings`.

    Raises:
        RayFailed: a setting is unknown or invalid, or everybody could use the application.
        ModelLoadError: a checkpoint does not exist.
    """
    settings = RaySettings.read(args)
    settings.check_deployment()
    return build(settings)


def build(settings: RaySettings) -> Application:
    """Builds the application.

    Raises:
        ModelLoadError: a checkpoint does not exist.
    """
    replica = serve.deployment(
        Replica,
        name="model",
        # More than the queue of the replica's server, so that this server refuses questions as "busy".
        max_ongoing_requests=settings.queue + settings.batch + PROBES,
        health_check_period_s=HEALTH_CHECK_S,
        graceful_shutdown_timeout_s=settings.drain_s + 5.0,
        max_constructor_retry_count=CONSTRUCTOR_RETRIES,
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        logging_config=WITHOUT_ACCESS_LOG,
        **_number_of_replicas(settings),
    )
    ingress = serve.deployment(
        Ingress,
        name="ingress",
        num_replicas=INGRESSES,
        max_ongoing_requests=INGRESS_REQUESTS,
        ray_actor_options={"num_cpus": 0},
        logging_config=WITHOUT_ACCESS_LOG,
    )
    return ingress.bind(replica.bind(settings.serve_options()), settings.access(_cluster_hosts()))


def _cluster_hosts() -> set[str]:
    """Returns the names and addresses of the machines on which Ray's HTTP proxies run."""
    if not ray.is_initialized():
        return set()
    keys = ("NodeManagerAddress", "NodeManagerHostname")
    return {str(node[key]) for node in ray.nodes() for key in keys if node.get(key)}


def _number_of_replicas(settings: RaySettings) -> dict[str, Any]:
    if settings.most_replicas == settings.replicas:
        return {"num_replicas": settings.replicas}
    scaling = {
        "min_replicas": settings.replicas,
        "max_replicas": settings.most_replicas,
        "target_ongoing_requests": settings.target_ongoing,
        "upscale_delay_s": settings.upscale_delay_s,
        "downscale_delay_s": settings.downscale_delay_s,
    }
    return {"autoscaling_config": scaling}
