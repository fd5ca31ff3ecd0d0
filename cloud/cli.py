"""`inarvl-cloud`: be a peer that devices find."""

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
from vlm.checkpoint import Checkpoint
from vlm.cli import DeviceChoice, QuantizationChoice
from vlm.client import VlmClient
from vlm.server import ServeOptions, ServerInfo, serve

HOSTNAME = socket.gethostname()

app = typer.Typer(help="Be a peer that devices find.", no_args_is_help=True)

Identifier = Annotated[str, typer.Option("--id", help="Names this peer; the host's name when left out.")]
Advertise = Annotated[str | None, typer.Option(help="host or host:port by which devices reach this one.")]
Broker = Annotated[str | None, typer.Option(help="mqtt(s)://host:port to keep a retained record on.")]
Username = Annotated[str | None, typer.Option(help="For the broker.")]
PasswordFile = Annotated[Path | None, typer.Option(help="File with the broker's password.")]
Lan = Annotated[bool, typer.Option("--zeroconf/--no-zeroconf", help="Announce on the local network.")]

Interface = Annotated[
    list[str] | None,
    typer.Option(help="Address of an interface to announce on by zeroconf; repeatable, all when left out."),
]


@app.command("serve")
def serve_command(
    model: Annotated[list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeatable.")],
    listen: Annotated[str, typer.Option(help="host:port; port 0 picks a free one.")] = "0.0.0.0:8020",
    quantization: Annotated[
        QuantizationChoice, typer.Option(help="How weights are held.")
    ] = QuantizationChoice.none,
    device: Annotated[DeviceChoice, typer.Option(help="What computes.")] = DeviceChoice.auto,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most output tokens per answer.")] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait.")] = 32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Requests that may be answered at once.")] = 1,
    batch_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds to wait for others to answer with the first.")
    ] = 0,
    peer_id: Identifier = HOSTNAME,
    advertise: Advertise = None,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Lan = True,
    interface: Interface = None,
    log_level: str = "info",
) -> None:
    """Serve models as `inarvl-vlm serve` does, and announce them once they are ready."""
    logs.configure(log_level)
    lan = (interface or []) if zeroconf else None

    async def run(options: ServeOptions) -> None:
        async with AsyncExitStack() as announcements:

            async def announce(info: ServerInfo) -> None:
                record = PeerRecord(
                    id=peer_id,
                    url=f"http://{_reachable(advertise, info)}",
                    models=tuple(card.id for card in info.models),
                    version=__version__,
                )
                await _announce(announcements, record, lan, broker, username, password_file)

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
    url: Annotated[str, typer.Option(help="http(s)://host:port of any OpenAI-compatible server.")],
    peer_id: Identifier = HOSTNAME,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Lan = True,
    interface: Interface = None,
    log_level: str = "info",
) -> None:
    """Announce a server that something else runs, such as vLLM or Ollama."""
    logs.configure(log_level)
    lan = (interface or []) if zeroconf else None

    async def run() -> None:
        client = VlmClient(url)
        try:
            models = tuple(card.id for card in await client.models())
        finally:
            await client.aclose()
        record = PeerRecord(id=peer_id, url=url, models=models, version=__version__)
        async with AsyncExitStack() as announcements:
            await _announce(announcements, record, lan, broker, username, password_file)
            systemd.notify(f"READY=1\nSTATUS=announcing {url}")
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    return

    with explained("inarvl-cloud"):
        anyio.run(run)


async def _announce(
    stack: AsyncExitStack,
    record: PeerRecord,
    lan: Sequence[str] | None,
    broker: str | None,
    username: str | None,
    password_file: Path | None,
) -> None:
    if lan is not None:
        await stack.enter_async_context(on_lan(record, lan))
    if broker:
        password = await anyio.Path(password_file).read_text() if password_file else None
        await stack.enter_async_context(
            on_broker(record, broker, username=username, password=password and password.strip())
        )


def _reachable(advertise: str | None, info: ServerInfo) -> str:
    host, _, port = (advertise or advertised_host(info.host)).partition(":")
    return f"{host}:{port or info.port}"
