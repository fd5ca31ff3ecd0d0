"""The command `inarvl-vlm`: serves vision-language models on this machine."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import anyio
import typer

from inarvl import logs
from inarvl.terminal import explained
from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.server import ServeOptions, serve

app = typer.Typer(help="Serve vision-language models on this machine.", no_args_is_help=True)


class QuantizationChoice(str, Enum):
    """Values of --quantization."""

    nf4 = "nf4"
    int8 = "int8"
    none = "none"


class DeviceChoice(str, Enum):
    """Values of --device."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@app.command("serve")
def serve_command(
    model: Annotated[
        list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeat for several models.")
    ],
    listen: Annotated[
        str, typer.Option(help="Address: unix:/path or host:port; port 0 selects a free port.")
    ] = "127.0.0.1:8010",
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name to serve the model under; one per --model, in the same order."),
    ] = None,
    quantization: Annotated[
        QuantizationChoice, typer.Option(help="Format of the weights in memory.")
    ] = QuantizationChoice.nf4,
    device: Annotated[DeviceChoice, typer.Option(help="Device that computes.")] = DeviceChoice.auto,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Maximum output tokens per answer; a request for more gets these.")
    ] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait; more are refused as busy.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch chooses.")] = None,
    drain_s: Annotated[
        float, typer.Option(min=0, help="Seconds to finish accepted requests at a stop.")
    ] = 10,
    stuck_s: Annotated[
        float,
        typer.Option(min=1, help="Seconds without a token after which the server exits, to be restarted."),
    ] = 120,
    max_rss_mb: Annotated[
        int | None,
        typer.Option(min=1, help="Resident memory in MiB above which the server exits, to be restarted."),
    ] = None,
    max_rss_growth_mb: Annotated[
        int | None,
        typer.Option(
            min=1, help="Growth of resident memory in MiB, since ready, above which the server exits."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Maximum requests that are answered in one batch.")] = 1,
    batch_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that an idle server waits to fill a batch.")
    ] = 0,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve models over HTTP with OpenAI's chat-completions schema, until SIGTERM or Ctrl-C."""
    logs.configure(log_level)
    with explained("inarvl-vlm"):
        options = ServeOptions(
            models=_checkpoints(model, name or [], quantization),
            listen=listen,
            device=device.value,
            max_tokens=max_tokens,
            queue=queue,
            threads=threads,
            drain_s=drain_s,
            stuck_s=stuck_s,
            max_rss_bytes=max_rss_mb * 2**20 if max_rss_mb else None,
            max_rss_growth_bytes=max_rss_growth_mb * 2**20 if max_rss_growth_mb else None,
            batch=batch,
            batch_wait_s=batch_wait_ms / 1000,
        )
        anyio.run(serve, options)


@app.command("bundled")
def bundled_command() -> None:
    """List the bundled models."""
    for known in bundled.names():
        typer.echo(f"bundled:{known}")


def _checkpoints(
    sources: list[str], names: list[str], quantization: QuantizationChoice
) -> tuple[Checkpoint, ...]:
    if names and len(names) != len(sources):
        raise typer.BadParameter(
            f"{len(sources)} --model and {len(names)} --name: give one --name per --model, or none"
        )
    names_or_none: list[str | None] = [*names] if names else [None] * len(sources)
    return tuple(
        Checkpoint.at(source, quantization.value, name)
        for source, name in zip(sources, names_or_none, strict=True)
    )
