"""The command `inarvl-cloud`: serves models to devices, or announces another server to them."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
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
from cloud.ray_cli import ray_command
from inarvl import __version__, logs, systemd
from inarvl.terminal import explained
from vlm import VlmClient
from vlm.cli import DeviceChoice, QuantizationChoice, Revision, Sha256, pinned_checkpoints
from vlm.server import ServeOptions, ServerInfo, serve

app = typer.Typer(
    help="Serve models to devices, or announce another server to them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command("ray")(ray_command)

LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]


@app.command("serve")
def serve_command(
    model: Annotated[
        list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeat for several models.")
    ],
    listen: Annotated[
        str, typer.Option(help="Address host:port; port 0 selects a free port.")
    ] = "0.0.0.0:8020",
    sha256: Sha256 = None,
    revision: Revision = None,
    quantization: Annotated[
        QuantizationChoice, typer.Option(help="Format of the weights in memory.")
    ] = QuantizationChoice.none,
    device: Annotated[DeviceChoice, typer.Option(help="Device that computes.")] = DeviceChoice.auto,
    max_tokens: Annotated[int, typer.Option(min=1, help="Maximum output tokens per answer.")] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait; more are refused as busy.")] = 32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch chooses.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Maximum requests that are answered in one batch.")] = 1,
    batch_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that an idle server waits to fill a batch.")
    ] = 0,
    peer_id: Identifier = HOSTNAME,
    advertise: Advertise = None,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Zeroconf = True,
    interface: Interface = None,
    log_level: LogLevel = "info",
) -> None:
    """Serve models like `inarvl-vlm serve`, and announce them once they are ready."""
    logs.configure(log_level)
    announcement = Announcement(zeroconf, tuple(interface or ()), broker, username, password_file)

    async def run(options: ServeOptions) -> None:
        async with AsyncExitStack() as announcements:

            async def announce(info: ServerInfo) -> None:
                record = PeerRecord(
                    id=peer_id,
                    url=f"http://{advertised_address(advertise, info.host, info.port)}",
                    models=tuple(card.id for card in info.models),
                    version=__version__,
                )
                listening = None if advertise else info.host
                await announcements.enter_async_context(announcement.of(record, listening=listening))

            await serve(options, on_ready=announce)

    with explained("inarvl-cloud"):
        options = ServeOptions(
            models=pinned_checkpoints(model, None, quantization.value, sha256, revision),
            listen=listen,
            device=device.value,
            max_tokens=max_tokens,
            queue=queue,
            threads=threads,
            batch=batch,
            batch_wait_s=batch_wait_ms / 1000,
        )
        anyio.run(run, options)


@app.command("announce")
def announce_command(
    url: Annotated[str, typer.Option(help="http(s)://host:port of an OpenAI-compatible server.")],
    peer_id: Identifier = HOSTNAME,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Zeroconf = True,
    interface: Interface = None,
    log_level: LogLevel = "info",
) -> None:
    """Announce a server that runs already, such as vLLM or Ollama."""
    logs.configure(log_level)
    announcement = Announcement(zeroconf, tuple(interface or ()), broker, username, password_file)

    async def run() -> None:
        client = VlmClient(url)
        try:
            models = tuple(card.id for card in await client.models())
        finally:
            await client.aclose()
        record = PeerRecord(id=peer_id, url=url, models=models, version=__version__)
        async with announcement.of(record):
            systemd.notify(f"READY=1\nSTATUS=announcing {url}")
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    return

    with explained("inarvl-cloud"):
        anyio.run(run)
