"""The command `inarvl-cloud ray`: serves models from several replicas on Ray Serve."""

from __future__ import annotations

import importlib.util
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import anyio
import typer

from cloud.announcement import (
    HOSTNAME,
    Advertise,
    Announcement,
    Broker,
    BrokerCaFile,
    BrokerCertFile,
    BrokerKeyFile,
    Identifier,
    Interface,
    PasswordFile,
    PricesFile,
    Username,
    Zeroconf,
    advertised_address,
    read_prices,
)
from cloud.peer import PeerRecord
from cloud.ray_settings import RayFailed, RaySettings
from inarvl import __version__, logs, systemd
from inarvl.terminal import explained
from vlm import VlmClient
from vlm.bearer_tokens import first_token
from vlm.client_tls import ClientTls
from vlm.model_options import (
    Batch,
    BatchWaitMs,
    Compute,
    DeviceChoice,
    LogLevel,
    MaxTokens,
    Models,
    QuantizationChoice,
    Quantize,
    Queue,
    Threads,
)
from vlm.server_options import (
    AllowedHost,
    Insecure,
    Tls,
    TlsCert,
    TlsKey,
    TokenFile,
    server_access,
    server_tls,
)
from vlm.sockets import host_and_port

log = logging.getLogger(__name__)

WATCH_S = 5.0
SILENT_S = 120.0


def ray_command(
    model: Models,
    listen: Annotated[str, typer.Option(help="Address host:port of Ray's HTTP proxy.")] = "127.0.0.1:8020",
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
    quantization: Quantize = QuantizationChoice.none,
    device: Compute = DeviceChoice.auto,
    max_tokens: MaxTokens = 64,
    queue: Queue = 32,
    threads: Threads = None,
    batch: Batch = 1,
    batch_wait_ms: BatchWaitMs = 0,
    peer_id: Identifier = HOSTNAME,
    advertise: Advertise = None,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Zeroconf = True,
    interface: Interface = None,
    broker_ca_file: BrokerCaFile = None,
    broker_cert_file: BrokerCertFile = None,
    broker_key_file: BrokerKeyFile = None,
    prices: PricesFile = None,
    tls: Tls = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    token_file: TokenFile = None,
    allowed_host: AllowedHost = None,
    insecure: Insecure = False,
    log_level: LogLevel = "info",
) -> None:
    """Serve models from several replicas on Ray Serve, and announce them once they are ready."""
    logs.configure(log_level)
    with explained("inarvl-cloud"):
        announcement = Announcement(
            zeroconf,
            tuple(interface or ()),
            broker,
            username,
            password_file,
            broker_ca_file,
            broker_cert_file,
            broker_key_file,
            read_prices(prices),
        )
    with explained("inarvl-cloud"):
        files = server_tls(tls, tls_cert, tls_key)
        certificate = files.certificate() if files is not None else None
        names = [*(allowed_host or ()), *([advertise] if advertise else ())]
        names += certificate.hosts if certificate is not None else ()
        access = server_access(files, token_file, names, insecure)
        access.check_address(listen)
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
                "token_file": access.token_file,
                "allowed_hosts": access.allowed_hosts,
                "insecure": insecure,
            }
        )
        if importlib.util.find_spec("ray") is None:
            raise RayFailed("Ray Serve is not installed: pip install 'inarvl[vlm,ray]' in this environment")
        from cloud.ray_cluster import running  # after the checks, because it is slow to import

        host, port = host_and_port(listen)
        scheme = "http" if files is None else "https"
        url = f"{scheme}://{advertised_address(advertise, host, port)}"
        listening = None if advertise else host
        known_by = None if certificate is None else ClientTls(fingerprint=certificate.fingerprint)
        application = _Application(url, known_by, access.token_file)
        with running(settings, listen=listen, cluster=cluster, tls=files):
            anyio.run(_announce_and_watch, application, peer_id, announcement, listening)


@dataclass(frozen=True)
class _Application:
    """How this command asks the application whether it answers."""

    url: str
    tls: ClientTls | None
    token_file: Path | None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[VlmClient]:
        """Connects with a token that is valid now."""
        token = None if self.token_file is None else first_token(self.token_file)
        connected = VlmClient(self.url, api_key=token, tls=self.tls)
        try:
            yield connected
        finally:
            await connected.aclose()


async def _announce_and_watch(
    application: _Application, peer_id: str, announcement: Announcement, listening: str | None
) -> None:
    """Returns after SIGTERM or SIGINT.

    Raises:
        RayFailed: the application has not answered for SILENT_S; the process must be restarted.
    """
    async with application.client() as client:
        models = tuple(card.id for card in await client.models())
    record = PeerRecord(id=peer_id, url=application.url, models=models, version=__version__)
    async with announcement.of(record, listening=listening):
        systemd.notify(f"READY=1\nSTATUS=serving {', '.join(models)} on Ray")
        log.info("ready: %s at %s", ", ".join(models), application.url)
        await _watch_until_signal(application)
        systemd.notify("STOPPING=1\nSTATUS=draining")


async def _watch_until_signal(application: _Application) -> None:
    answered_at = anyio.current_time()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        while True:
            with anyio.move_on_after(WATCH_S):
                await anext(signals)
                return
            async with application.client() as client:
                ready = await client.ready()
            if ready:
                answered_at = anyio.current_time()
                systemd.notify("WATCHDOG=1")
            elif anyio.current_time() - answered_at > SILENT_S:
                raise RayFailed(
                    f"the application has not answered for {SILENT_S:.0f} s; exiting to be restarted"
                )
