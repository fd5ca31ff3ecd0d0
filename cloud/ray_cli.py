"""The command `inarvl-cloud ray`: serves models from several replicas on Ray Serve."""

from __future__ import annotations

import importlib.util
import logging
import signal
from typing import Annotated

import anyio
import typer

from cloud.announcement import (
    HOSTNAME,
    Advertise,
    Announcement,
    Broker,
    Identifier,
    Interface,
    PasswordFile,
    Username,
    Zeroconf,
    advertised_address,
)
from cloud.peer import PeerRecord
from cloud.ray_settings import RayFailed, RaySettings
from inarvl import __version__, logs, systemd
from inarvl.terminal import explained
from vlm import VlmClient
from vlm.cli import DeviceChoice, QuantizationChoice
from vlm.sockets import host_and_port

log = logging.getLogger(__name__)

WATCH_S = 5.0
SILENT_S = 120.0


def ray_command(
    model: Annotated[
        list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeat for several models.")
    ],
    listen: Annotated[str, typer.Option(help="Address host:port of Ray's HTTP proxy.")] = "0.0.0.0:8020",
    cluster: Annotated[
        str | None,
        typer.Option(help="Address of a Ray cluster, or auto; by default Ray runs on this machine."),
    ] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Minimum number of replicas.")] = 2,
    max_replicas: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of replicas; by default the minimum.")
    ] = None,
    target_ongoing: Annotated[
        float, typer.Option(help="Mean questions per replica above which Ray adds replicas.")
    ] = 2.0,
    upscale_delay_s: Annotated[
        float, typer.Option(min=0, help="Seconds of higher load before Ray adds replicas.")
    ] = 10.0,
    downscale_delay_s: Annotated[
        float, typer.Option(min=0, help="Seconds of lower load before Ray removes replicas.")
    ] = 300.0,
    cpus: Annotated[float, typer.Option(min=0, help="CPUs that Ray reserves for each replica.")] = 1.0,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs that Ray reserves for each replica; without one it sees none.")
    ] = 0.0,
    quantization: Annotated[
        QuantizationChoice, typer.Option(help="Format of the weights in memory.")
    ] = QuantizationChoice.none,
    device: Annotated[DeviceChoice, typer.Option(help="Device that computes.")] = DeviceChoice.auto,
    max_tokens: Annotated[int, typer.Option(min=1, help="Maximum output tokens per answer.")] = 64,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests that may wait in a replica; more are refused as busy.")
    ] = 32,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of a replica; by default torch chooses.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Maximum requests that are answered in one batch.")] = 1,
    batch_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that an idle replica waits to fill a batch.")
    ] = 0,
    peer_id: Identifier = HOSTNAME,
    advertise: Advertise = None,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Zeroconf = True,
    interface: Interface = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve models from several replicas on Ray Serve, and announce them once they are ready."""
    logs.configure(log_level)
    announcement = Announcement(zeroconf, tuple(interface or ()), broker, username, password_file)
    with explained("inarvl-cloud"):
        settings = RaySettings.read(
            {
                "model": model,
                "quantization": quantization.value,
                "device": device.value,
                "max_tokens": max_tokens,
                "queue": queue,
                "threads": threads,
                "batch": batch,
                "batch_wait_ms": batch_wait_ms,
                "replicas": replicas,
                "max_replicas": max_replicas,
                "target_ongoing": target_ongoing,
                "upscale_delay_s": upscale_delay_s,
                "downscale_delay_s": downscale_delay_s,
                "cpus": cpus,
                "gpus": gpus,
            }
        )
        if importlib.util.find_spec("ray") is None:
            raise RayFailed("Ray Serve is not installed: pip install 'inarvl[vlm,ray]' in this environment")
        from cloud.ray_cluster import running  # after the checks, because it is slow to import

        host, port = host_and_port(listen)
        url = f"http://{advertised_address(advertise, host, port)}"
        listening = None if advertise else host
        with running(settings, listen=listen, cluster=cluster):
            anyio.run(_announce_and_watch, url, peer_id, announcement, listening)


async def _announce_and_watch(
    url: str, peer_id: str, announcement: Announcement, listening: str | None
) -> None:
    """Returns after SIGTERM or SIGINT.

    Raises:
        RayFailed: the application has not answered for SILENT_S; the process must be restarted.
    """
    client = VlmClient(url)
    try:
        models = tuple(card.id for card in await client.models())
        record = PeerRecord(id=peer_id, url=url, models=models, version=__version__)
        async with announcement.of(record, listening=listening):
            systemd.notify(f"READY=1\nSTATUS=serving {', '.join(models)} on Ray")
            log.info("ready: %s at %s", ", ".join(models), url)
            await _watch_until_signal(client)
            systemd.notify("STOPPING=1\nSTATUS=draining")
    finally:
        await client.aclose()


async def _watch_until_signal(client: VlmClient) -> None:
    answered_at = anyio.current_time()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        while True:
            with anyio.move_on_after(WATCH_S):
                await anext(signals)
                return
            if await client.ready():
                answered_at = anyio.current_time()
                systemd.notify("WATCHDOG=1")
            elif anyio.current_time() - answered_at > SILENT_S:
                raise RayFailed(
                    f"the application has not answered for {SILENT_S:.0f} s; exiting to be restarted"
                )
