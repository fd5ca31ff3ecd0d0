"""`inarvl-vlm`: serve vision-language models on this machine."""

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
    """How weights are held."""

    nf4 = "nf4"
    int8 = "int8"
    none = "none"


class DeviceChoice(str, Enum):
    """What computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@app.command("serve")
def serve_command(
    model: Annotated[
        list[str], typer.Option(help="Checkpoint folder, hub id or bundled:NAME; repeat to serve several.")
    ],
    listen: Annotated[str, typer.Option(help="unix:/path or host:port.")] = "127.0.0.1:8010",
    name: Annotated[
        list[str] | None, typer.Option(help="Name to serve the model as; one per --model, in order.")
    ] = None,
    quantization: Annotated[
        QuantizationChoice, typer.Option(help="How weights are held.")
    ] = QuantizationChoice.nf4,
    device: Annotated[DeviceChoice, typer.Option(help="What computes.")] = DeviceChoice.auto,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most output tokens per answer.")] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait; more are refused as busy.")] = 8,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; torch chooses when left out.")
    ] = None,
    drain_s: Annotated[float, typer.Option(min=0, help="Seconds to finish what is in when stopped.")] = 10,
    stuck_s: Annotated[
        float, typer.Option(min=1, help="Seconds without a token after which the server gives up.")
    ] = 120,
    max_rss_mb: Annotated[
        int | None, typer.Option(min=1, help="Resident MiB at which the server ends, to be restarted.")
    ] = None,
    max_rss_growth_mb: Annotated[
        int | None, typer.Option(min=1, help="MiB more than when it was ready at which the server ends.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Requests that may be answered at once.")] = 1,
    batch_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds to wait for others to answer with the first.")
    ] = 0,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve models over the OpenAI chat-completions schema until told to stop."""
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
    """List the models that come with this package."""
    for known in bundled.names():
        typer.echo(f"bundled:{known}")


def _checkpoints(
    sources: list[str], names: list[str], quantization: QuantizationChoice
) -> tuple[Checkpoint, ...]:
    if names and len(names) != len(sources):
        raise typer.BadParameter(f"{len(sources)} --model need as many --name, or none; {len(names)} given")
    given: list[str | None] = [*names] if names else [None] * len(sources)
    return tuple(
        Checkpoint.at(source, quantization.value, name) for source, name in zip(sources, given, strict=True)
    )
