"""The command `inarvl-cloud`: serves models to devices, or announces another server to them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import anyio
import typer

from cloud.announce import advertised_host, on_broker, on_lan
from cloud.peer import PeerRecord
from inarvl import __version__, logs, systemd
from inarvl.terminal import explained
from vlm import VlmClient
from vlm.checkpoint import Checkpoint
from vlm.cli import DeviceChoice, QuantizationChoice
from vlm.server import ServeOptions, ServerInfo, serve

HOSTNAME = socket.gethostname()

app = typer.Typer(help="Serve models to devices, or announce another server to them.", no_args_is_help=True)

Identifier = Annotated[str, typer.Option("--id", help="Identifier of this peer; by default the host name.")]
Advertise = Annotated[str | None, typer.Option(help="host or host:port at which devices reach this server.")]
Broker = Annotated[str | None, typer.Option(help="mqtt(s)://host:port to publish a retained record to.")]
Username = Annotated[str | None, typer.Option(help="User name for the broker.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File that contains the password for the broker.")]
Zeroconf = Annotated[
    bool, typer.Option("--zeroconf/--no-zeroconf", help="Announce on the local network, or do not.")
]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]
Interface = Annotated[
    list[str] | None,
    typer.Option(help="Address of an interface to announce on by zeroconf; repeatable, by default all."),
]


@app.command("serve")
def serve_command(
    model: Annotated[
        list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeat for several models.")
    ],
    listen: Annotated[
        str, typer.Option(help="Address host:port; port 0 selects a free port.")
    ] = "0.0.0.0:8020",
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
    interfaces = (interface or []) if zeroconf else None

    async def run(options: ServeOptions) -> None:
        async with AsyncExitStack() as announcements:

            async def announce(info: ServerInfo) -> None:
                record = PeerRecord(
                    id=peer_id,
                    url=f"http://{_advertised(advertise, info)}",
                    models=tuple(card.id for card in info.models),
                    version=__version__,
                )
                listening = None if advertise else info.host
                await _announce(announcements, record, interfaces, listening, broker, username, password_file)

            await serve(options, on_ready=announce)

    with explained("inarvl-cloud"):
        options = ServeOptions(
            models=tuple(Checkpoint.at(source, quantization.value, None) for source in model),
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
    interfaces = (interface or []) if zeroconf else None

    async def run() -> None:
        client = VlmClient(url)
        try:
            models = tuple(card.id for card in await client.models())
        finally:
            await client.aclose()
        record = PeerRecord(id=peer_id, url=url, models=models, version=__version__)
        async with AsyncExitStack() as announcements:
            await _announce(announcements, record, interfaces, None, broker, username, password_file)
            systemd.notify(f"READY=1\nSTATUS=announcing {url}")
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    return

    with explained("inarvl-cloud"):
        anyio.run(run)


async def _announce(
    stack: AsyncExitStack,
    record: PeerRecord,
    interfaces: Sequence[str] | None,
    listening: str | None,
    broker: str | None,
    username: str | None,
    password_file: Path | None,
) -> None:
    """Announces until `stack` ends; without zeroconf if `interfaces` is None, without MQTT if `broker` is."""
    if interfaces is not None:
        await stack.enter_async_context(on_lan(record, interfaces, listening=listening))
    if broker:
        password = await anyio.Path(password_file).read_text() if password_file else None
        await stack.enter_async_context(
            on_broker(record, broker, username=username, password=password and password.strip())
        )


def _advertised(advertise: str | None, info: ServerInfo) -> str:
    """Returns host and port as in a URL."""
    host = advertise or advertised_host(info.host)
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    has_port = not host.endswith("]") and ":" in host
    return host if has_port else f"{host}:{info.port}"
