"""Starts everything on loopback, asks questions, and shows where each is answered and for what reason."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import anyio
import numpy as np
import typer
import yaml
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from agent.standalone.broker import broker, free_port
from agent.standalone.service_process import ServiceProcess
from inarvl.errors import InarvlError
from inarvl.interrupt import interruptible
from lab.demo.answer_table import AnswerTable
from lab.demo.camera import Camera
from lab.rig.wan_emulator import WanConditions, WanEmulator

DEVICE = "demo"
EDGES = ("bundled:inarvl-edge-swift", "bundled:inarvl-edge-reader")
CLOUDS = ("bundled:inarvl-cloud-mid", "bundled:inarvl-cloud-strong")
START_S = 180.0
SILENCE_S = 60.0
PRINTED_WIDTH = 150

app = typer.Typer(add_completion=False)


@app.command()
def main(
    once: Annotated[
        int | None, typer.Option(min=1, help="Number of questions, after which the demo stops.")
    ] = None,
    every_s: Annotated[float, typer.Option(min=0.01, help="Seconds between questions.")] = 0.3,
    rtt_ms: Annotated[float, typer.Option(min=0, help="Emulated round trip time to the cloud.")] = 60.0,
    mbps: Annotated[float, typer.Option(min=0.1, help="Emulated rate to the cloud in Mbit/s.")] = 20.0,
    seed: int = 0,
) -> None:
    """Run the demo until Ctrl-C, or for `--once` questions."""
    console = Console()
    if not console.is_terminal:
        console.width = PRINTED_WIDTH
    wan = WanEmulator(WanConditions(rtt_ms, mbps))
    with tempfile.TemporaryDirectory(prefix="inarvl-demo-") as folder, ExitStack() as stack:
        status = _run(stack, Path(folder), console, wan, np.random.default_rng(seed), every_s, once)
    raise typer.Exit(status)


def _run(
    stack: ExitStack,
    folder: Path,
    console: Console,
    wan: WanEmulator,
    rng: np.random.Generator,
    every_s: float,
    once: int | None,
) -> int:
    """Runs the demo; returns its exit status. An error that leaves `stack` would come out in task groups."""
    table = AnswerTable()
    try:
        camera = Camera(_start(stack, folder, console, wan), DEVICE, rng=rng)
        with interruptible():
            anyio.run(_show, camera, table, console, every_s, once)
    except InarvlError as error:
        console.print(f"[red]demo: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return int(once is not None and table.totals.answered < once)


async def _show(
    camera: Camera, table: AnswerTable, console: Console, every_s: float, once: int | None
) -> None:
    with Live(table, console=console, refresh_per_second=4) as live:
        with anyio.move_on_after(SILENCE_S) as silence:
            async for exchange in camera.ask(every_s, once):
                table.add(exchange)
                silence.deadline = anyio.current_time() + SILENCE_S
        live.update(table)


def _start(stack: ExitStack, folder: Path, console: Console, wan: WanEmulator) -> int:
    """Starts broker, models, peer and agent, in this order, and returns the broker's port."""
    name, port = stack.enter_context(broker(folder))
    console.print(f"broker: {name} on 127.0.0.1:{port}")
    peer_port = free_port()
    portal = stack.enter_context(start_blocking_portal())
    wan_port = stack.enter_context(portal.wrap_async_context_manager(wan.to(peer_port)))
    console.print(
        f"cloud: behind an emulated link, {wan.path.rtt_ms:g} ms round trip and {wan.path.mbps:g} Mbit/s"
    )
    page_port = free_port()
    socket = f"unix:{folder}/vlm.sock"
    config = folder / "agent.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "device": DEVICE,
                "broker": {"url": f"mqtt://127.0.0.1:{port}"},
                "local": socket,
                "state_dir": str(folder),
                "http": {"listen": f"127.0.0.1:{page_port}", "page": {"pictures": True}},
                "discovery": {"zeroconf": True, "mqtt": False, "trust": "any"},  # all parts are here
            }
        )
    )
    vlm = ["inarvl-vlm", "serve", *_models(EDGES), "--quantization", "nf4", "--listen", socket]
    peer = ["inarvl-cloud", "serve", *_models(CLOUDS), "--id", "demo-cloud"]
    peer += ["--listen", f"127.0.0.1:{peer_port}", "--advertise", f"127.0.0.1:{wan_port}"]
    agent = ["inarvl", "run", "--config", str(config)]
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    ) as progress:
        models = [
            (_start_service(stack, name, [*command, "--threads", "1"], folder), progress.add_task(name))
            for name, command in (("board model", vlm), ("cloud peer", peer))
        ]
        for service, task in models:
            _wait_ready(service, progress, task)
        service = _start_service(stack, "agent", agent, folder)
        _wait_ready(service, progress, progress.add_task("agent"))
    console.print(f"page: http://127.0.0.1:{page_port}/")
    return port


def _models(sources: Sequence[str]) -> list[str]:
    return [word for source in sources for word in ("--model", source)]


def _start_service(stack: ExitStack, name: str, command: list[str], folder: Path) -> ServiceProcess:
    tool = Path(sys.executable).with_name(command[0])
    service = ServiceProcess(name, [str(tool), *command[1:]], folder)
    stack.callback(service.stop)
    return service


def _wait_ready(service: ServiceProcess, progress: Progress, task: TaskID) -> None:
    service.wait_ready(START_S, lambda status: progress.update(task, description=f"{service.name}: {status}"))
    progress.update(task, description=f"{service.name}: ready", total=1, completed=1)


if __name__ == "__main__":
    app()
