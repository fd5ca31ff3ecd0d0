"""The command `inarvl-vlm`: downloads, tests and serves vision-language models on this machine."""

from __future__ import annotations

import importlib.util
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from inarvl import logs
from inarvl.program import program
from inarvl.terminal import explained
from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.errors import ModelLoadError
from vlm.gguf.export import export
from vlm.gguf.precision import Precision
from vlm.hub import catalogue
from vlm.hub import checkpoint_files as hub
from vlm.hub.download_progress import download_display
from vlm.hub.models_table import models_table
from vlm.hub.picture_test import run_picture_test
from vlm.llamacpp.command import llamacpp_command
from vlm.loading import check_image_input, load, require_libraries
from vlm.loading_progress import loading_display
from vlm.model_files import digest
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
    Revision,
    Sha256,
    Threads,
    pinned_checkpoints,
)
from vlm.server_options import (
    AllowedHost,
    ClientCa,
    Insecure,
    Tls,
    TlsCert,
    TlsKey,
    TokenFile,
    server_access,
    server_tls,
)

app = program("inarvl-vlm", "Download, test and serve vision-language models on this machine.")
app.command("llamacpp")(llamacpp_command)


@app.command("serve")
def serve_command(
    model: Models,
    listen: Annotated[
        str, typer.Option(help="Address: unix:/path or host:port; port 0 selects a free port.")
    ] = "127.0.0.1:8010",
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name to serve the model under; one per --model, in the same order."),
    ] = None,
    sha256: Sha256 = None,
    revision: Revision = None,
    quantization: Quantize = QuantizationChoice.nf4,
    device: Compute = DeviceChoice.auto,
    max_tokens: MaxTokens = 64,
    queue: Queue = 8,
    threads: Threads = None,
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
    batch: Batch = 1,
    batch_wait_ms: BatchWaitMs = 0,
    tls: Tls = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    client_ca: ClientCa = None,
    token_file: TokenFile = None,
    allowed_host: AllowedHost = None,
    insecure: Insecure = False,
    log_level: LogLevel = "info",
) -> None:
    """Serve models over HTTP with OpenAI's chat-completions schema, until SIGTERM or Ctrl-C."""
    logs.configure(log_level)
    with explained("inarvl-vlm"):
        files = server_tls(tls, tls_cert, tls_key, client_ca)
        access = server_access(files, token_file, allowed_host, insecure)
        access.check_address(listen)
        checkpoints = pinned_checkpoints(model, name, quantization.value, sha256, revision)
        for checkpoint in checkpoints:
            if not checkpoint.folder:
                require_libraries(checkpoint.quantization)
                hub.check_available(checkpoint.source, checkpoint.revision)
        from vlm.server import ServeOptions, serve  # after the checks, because it is slow to import

        options = ServeOptions(
            models=checkpoints,
            listen=listen,
            access=access,
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


@app.command("models")
def models_command() -> None:
    """List checkpoints that are known to fit, and the bundled ones."""
    hub_installed = importlib.util.find_spec("huggingface_hub") is not None
    typer.echo(models_table(lambda hub_id: hub_installed and hub.cached_folder(hub_id) is not None))


@app.command("pull")
def pull_command(
    name: Annotated[str, typer.Argument(help="Name from `inarvl-vlm models`, or any hub id owner/name.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder to download into, instead of huggingface_hub's cache.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--try/--no-try", help="Show the model two pictures after the download.")
    ] = True,
    quantization: Quantize = QuantizationChoice.nf4,
    device: Compute = DeviceChoice.auto,
) -> None:
    """Download a checkpoint and try it. Run the command again to continue an interrupted download."""
    with explained("inarvl-vlm"):
        if name.startswith("bundled:"):
            checkpoint = Checkpoint.at(name, quantization.value)
            typer.echo(f"{name} comes with inarvl")
        else:
            repo = catalogue.hub_id(name)
            require_libraries(quantization.value if test else "none")
            pulled = _pull(Checkpoint(repo, repo, quantization.value), folder)
            typer.echo(f"{repo} is complete in {pulled}")
            checkpoint = Checkpoint(str(pulled), repo, quantization.value)
            source = folder.absolute() if folder else repo
            served = f"--model {source} --name {repo.rpartition('/')[2].lower()}"
            typer.echo(f"serve it: inarvl-vlm serve {served} --sha256 {digest(pulled)}")
        if test:
            _try(checkpoint, device)


@app.command("digest")
def digest_command(
    name: Annotated[str, typer.Argument(help="Folder, bundled:NAME, or a hub id that was downloaded.")],
) -> None:
    """Print the SHA-256 of a model's files, for --sha256 and for the hardware profile."""
    with explained("inarvl-vlm"):
        is_path = name.startswith((".", "/", "~", "bundled:")) or Path(name).is_dir()
        checkpoint = Checkpoint.at(name if is_path else catalogue.hub_id(name), "none")
        folder = checkpoint.folder or hub.cached_folder(checkpoint.source)
        if folder is None:
            raise ModelLoadError(f"{name} is not on this machine; run `inarvl-vlm pull {name}`")
        typer.echo(digest(folder))


@app.command("try")
def try_command(
    name: Annotated[str, typer.Argument(help="Folder, bundled:NAME, or as for `inarvl-vlm pull`.")],
    quantization: Quantize = QuantizationChoice.nf4,
    device: Compute = DeviceChoice.auto,
) -> None:
    """Show a model pictures of a red and a blue square; the exit status is 1 if it sees no colours."""
    with explained("inarvl-vlm"):
        is_path = name.startswith((".", "/", "~", "bundled:")) or Path(name).is_dir()
        checkpoint = Checkpoint.at(name if is_path else catalogue.hub_id(name), quantization.value)
        if not checkpoint.folder:
            require_libraries(quantization.value)
            pulled = _pull(checkpoint, None)
            checkpoint = Checkpoint(str(pulled), checkpoint.name, quantization.value)
        _try(checkpoint, device)


@app.command("gguf")
def gguf_command(
    name: Annotated[str, typer.Argument(help="bundled:NAME, or the folder of a checkpoint like these.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path(),
    precision: Annotated[Precision, typer.Option(help="Format of the decoder's weights.")] = Precision.q8_0,
) -> None:
    """Write a checkpoint as two GGUF files, for llama.cpp."""
    with explained("inarvl-vlm"):
        checkpoint = Checkpoint.at(name, "none")
        if checkpoint.folder is None:
            raise ModelLoadError(f"{name} is not on this machine; give bundled:NAME or a folder")
        decoder, tower = export(checkpoint.folder, checkpoint.name, out, precision)
        typer.echo(f"--model {decoder} --mmproj {tower} --alias {checkpoint.name}")


def _pull(checkpoint: Checkpoint, folder: Path | None) -> Path:
    """Downloads what is missing of a hub's checkpoint, and returns its folder."""
    check = partial(check_image_input, checkpoint)
    cached = None if folder else hub.cached_folder(checkpoint.source)
    if cached:
        return cached
    try:
        with download_display(checkpoint.source) as progress:
            return hub.download(checkpoint.source, folder and folder.expanduser(), progress, check)
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to continue the download", err=True)
        raise typer.Exit(130) from None


def _try(checkpoint: Checkpoint, device: DeviceChoice) -> None:
    started_at = time.perf_counter()
    with loading_display() as display:
        model = load(checkpoint, device.value, 64, lambda share: display(checkpoint.name, "loading", share))
        display(checkpoint.name, "warming up", 1.0)
        model.warm_up(lambda: None)
    loading_s = time.perf_counter() - started_at
    typer.echo(f"{checkpoint.name}, {model.card.quantization}: ready after {loading_s:.1f} s")
    answers = run_picture_test(model)
    for answer in answers:
        typer.echo(f"  a {answer.colour} square: {answer.text!r} after {answer.took_s:.2f} s")
    if all(answer.correct for answer in answers):
        typer.echo("the model sees: it names both colours")
        return
    same = len({answer.text for answer in answers}) == 1
    problem = "its answers are the same" if same else "its answers differ, but do not name the colours"
    typer.secho(
        f"the model does not see: {problem}; try --quantization none, download it again, or choose another "
        "one from `inarvl-vlm models`",
        err=True,
        fg="red",
    )
    raise typer.Exit(1)
