"""`inarvl up`."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from agent.config.peer_settings import plaintext_problem
from agent.config.settings import SITE_FILE, Settings
from agent.config.yaml_file import ConfigError, check
from agent.standalone.interrupts import Interrupts
from agent.standalone.standalone import AlreadyRunning, Standalone
from inarvl.private_files import make_private_folder, open_private
from inarvl.terminal import explained
from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.client import VlmClient
from vlm.errors import VlmUnavailable
from vlm.hub import catalogue

DEFAULT_PORT = 1883
EDGES = ("bundled:inarvl-edge-swift", "bundled:inarvl-edge-reader")
STATE = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "inarvl"
SHOWN = 4  # of a server's models


def up(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name from `inarvl-vlm models`, folder, or bundled:NAME; with --url, a model of that "
            "server. May be repeated. Default: the board's bundled models; with --url, all."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="An OpenAI-compatible server to ask, such as http://localhost:11434."),
    ] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="File with the API key for --url.")] = None,
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="Let --url be http:// of another machine.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The broker's port.")] = DEFAULT_PORT,
    folder: Annotated[
        Path, typer.Option(help="Folder for the site file and for what the agent learns.")
    ] = STATE,
) -> None:
    """Run a broker, a model server and the agent on this machine until Ctrl-C, without systemd."""
    interrupts = Interrupts()
    try:
        with explained("inarvl"):
            server = None if url is None else _peer(url, model or [], api_key_file, allow_plaintext)
            _run(interrupts, model or [], server, port, folder.expanduser().absolute())
    except KeyboardInterrupt:
        typer.echo("stopped")


def _run(
    interrupts: Interrupts, models: list[str], server: dict[str, Any] | None, port: int, folder: Path
) -> None:
    sources = [] if server else [_source(name) for name in models or EDGES]
    with tempfile.TemporaryDirectory(prefix="inarvl-up-") as runtime, ExitStack() as stack:
        _lock(stack, folder)
        config = folder / "agent.yaml"
        site: dict[str, Any] = {
            "local": None,
            "peers": [server] if server else [],
            "discovery": {"zeroconf": False, "mqtt": False},
            "state_dir": str(folder),
        }
        parts = Standalone(stack, interrupts, Path(runtime), site, _report)
        try:
            if server:
                settings = check(site, Settings, "inarvl up")
                _report("models", f"{_listed(settings)} at {server['url']}")
            parts.start_broker(port)
            if sources:
                parts.start_models(sources)
            parts.start_agent(config)
            _say_how_to_ask(config, port, sources, runtime)
            parts.wait()
        finally:
            interrupts.ignore()


def _source(name: str) -> str:
    is_path = name.startswith((".", "/", "~", "bundled:")) or Path(name).is_dir()
    source = name if is_path else catalogue.hub_id(name)
    checkpoint = Checkpoint.at(source, "nf4")
    return source if source.startswith("bundled:") else checkpoint.source


def _lock(stack: ExitStack, folder: Path) -> None:
    try:
        make_private_folder(folder)
        lock = stack.enter_context(os.fdopen(open_private(folder / "lock", os.O_WRONLY), "w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(
            f"inarvl up runs already with {folder}: stop it, or choose another --folder and --port"
        ) from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used ({error.strerror}): choose another --folder") from None


def _peer(url: str, models: list[str], key_file: Path | None, allow_plaintext: bool) -> dict[str, Any]:
    """Returns the server as the site file names it.

    Raises:
        ConfigError: it is another machine without TLS, and that was not allowed.
    """
    problem = plaintext_problem(url, "allow_plaintext", allowed=allow_plaintext)
    if url.startswith("http:") and problem is not None:
        raise ConfigError(
            f"{url} would get images and the key unencrypted: give an https:// URL, or --allow-plaintext"
        )
    key = {} if key_file is None else {"api_key_file": str(key_file.expanduser().absolute())}
    return {"id": "server", "url": url, "models": models, "allow_plaintext": allow_plaintext, **key}


def _listed(settings: Settings) -> str:
    """Returns the names of the server's models.

    Raises:
        VlmError: the server does not answer, or lacks a model.
    """
    (server,) = settings.peers

    async def names() -> list[str]:
        client = VlmClient(server.url, api_key=settings.api_keys().get(server.id))
        try:
            return [card.id for card in await client.models()]
        finally:
            await client.aclose()

    found = anyio.run(names)
    missing = [name for name in server.models if name not in found]
    if missing or not found:
        wanted = f"the model {missing[0]!r}" if missing else "a model"
        raise VlmUnavailable(f"{server.url} does not have {wanted}; it has: {', '.join(found) or 'none'}")
    shown = list(server.models) or found
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")


def _report(part: str, state: str) -> None:
    typer.echo(f"{part:8} {state}")


def _say_how_to_ask(config: Path, port: int, sources: list[str], logs: str) -> None:
    program = "inarvl" if shutil.which("inarvl") == sys.argv[0] else sys.argv[0]
    default = port == DEFAULT_PORT and not SITE_FILE.exists()
    option = "" if default else f" --config {shlex.quote(str(config))}"
    typer.echo("\nAsk in another terminal:\n")
    typer.echo(f'    {program} ask photo.jpg "Is the gate open?" --answer yes_no{option}\n')
    if sources and all(source.removeprefix("bundled:") in bundled.names() for source in sources):
        typer.echo("These models know drawn scenes only. For photographs, see: inarvl-vlm models")
    typer.echo(f"Ctrl-C stops everything. Logs: {logs}")
