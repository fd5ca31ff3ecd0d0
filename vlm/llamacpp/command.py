"""The command `inarvl-vlm llamacpp`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import anyio
import typer

from inarvl import logs
from inarvl.terminal import explained
from vlm.errors import ModelLoadError
from vlm.llamacpp.model_files import ModelFiles
from vlm.llamacpp.server_process import ServerProcess


def llamacpp_command(
    model: Annotated[str, typer.Option(help="GGUF file of the language model.")],
    mmproj: Annotated[str, typer.Option(help="GGUF file of its vision tower.")],
    binary: Annotated[str, typer.Option(help="llama.cpp's program llama-server.")] = "llama-server",
    socket: Annotated[Path, typer.Option(help="Unix socket to listen on; its name ends with .sock.")] = Path(
        "/run/inarvl/vlm.sock"
    ),
    name: Annotated[
        str, typer.Option(help="Name to serve the model under; by default that of its file.")
    ] = "",
    ctx_size: Annotated[
        int, typer.Option(min=1, help="Tokens of a request: image, question and answer.")
    ] = 4096,
    gpu_layers: Annotated[int, typer.Option(min=0, help="Layers to compute on the GPU; 0 for none.")] = 99,
    image_min_tokens: Annotated[
        int, typer.Option(min=0, help="Minimum tokens of an image; 0 for the model's own.")
    ] = 0,
    image_max_tokens: Annotated[
        int, typer.Option(min=0, help="Maximum tokens of an image; 0 for the model's own.")
    ] = 0,
    reserve_mb: Annotated[
        int,
        typer.Option(
            min=-1, help="MiB that must be free beside the files and the context; -1 starts it in any case."
        ),
    ] = 512,
    stuck_s: Annotated[
        float, typer.Option(min=1, help="Seconds without a response after which the server is killed.")
    ] = 120,
    options: Annotated[
        list[str] | None, typer.Argument(help="More options for llama-server, after --.")
    ] = None,
) -> None:
    """Serve a GGUF model with llama.cpp's llama-server, as a systemd service.

    The exit status is 78 if a setting must be corrected before it can start.
    """
    logs.configure("info")
    with explained("inarvl-vlm", status=os.EX_CONFIG):
        if shutil.which(binary) is None:
            raise ModelLoadError(
                f"there is no program {binary or 'llama-server'}; install llama.cpp's llama-server and write "
                "its path as BINARY, not under /home, which a service cannot see"
            )
        if socket.suffix != ".sock":
            raise ModelLoadError(
                f"llama.cpp listens on a unix socket only if its name ends with .sock: {socket}"
            )
        files = ModelFiles.read(model, mmproj)
    with explained("inarvl-vlm"):
        if reserve_mb >= 0:
            files.check_memory(ctx_size, reserve_mb)
        served = name or Path(model).stem
        command = [binary, "--model", model, "--mmproj", mmproj, "--alias", served, "--host", str(socket)]
        command += ["--ctx-size", str(ctx_size), "--n-gpu-layers", str(gpu_layers)]
        command += ["--parallel", "1", "--metrics", "--jinja"]
        for option, tokens in (
            ("--image-min-tokens", image_min_tokens),
            ("--image-max-tokens", image_max_tokens),
        ):
            if tokens:
                command += [option, str(tokens)]
        anyio.run(ServerProcess([*command, *(options or [])], socket, served).run, stuck_s)
