"""Start everything on loopback, ask questions, and show where each is answered and why."""

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

from inarvl.errors import InarvlError
from lab.demo.answer_table import Board
from lab.demo.camera import Camera
from lab.rig.broker import broker, free_port
from lab.rig.service_process import Service
from lab.rig.wan_emulator import Path as Way
from lab.rig.wan_emulator import Wan

DEVICE = "demo"
EDGES = ("bundled:inarvl-edge-swift", "bundled:inarvl-edge-reader")
CLOUDS = ("bundled:inarvl-cloud-mid", "bundled:inarvl-cloud-strong")
START_S = 180.0
SILENCE_S = 60.0
PRINTED_WIDTH = 150

app = typer.Typer(add_completion=False)


@app.command()
def main(
    once: Annotated[int | None, typer.Option(min=1, help="Stop after so many questions.")] = None,
    every_s: Annotated[float, typer.Option(min=0.01, help="Seconds between questions.")] = 0.3,
    rtt_ms: Annotated[float, typer.Option(min=0, help="Round trip to the cloud that is emulated.")] = 60.0,
    mbps: Annotated[float, typer.Option(min=0.1, help="Rate to the cloud that is emulated.")] = 20.0,
    seed: int = 0,
) -> None:
    """Show inarvl at work until Ctrl-C, or for `--once` questions."""
    screen = Console()
    if not screen.is_terminal:
        screen.width = PRINTED_WIDTH
    try:
        with tempfile.TemporaryDirectory(prefix="inarvl-demo-") as folder, ExitStack() as stack:
            port = _start(stack, Path(folder), screen, Wan(Way(rtt_ms, mbps)))
            board = Board()
            camera = Camera(port, DEVICE, rng=np.random.default_rng(seed))
            anyio.run(_watch, camera, board, screen, every_s, once)
    except InarvlError as error:
        screen.print(f"[red]demo: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if once is not None and board.tally.answered < once:
        raise typer.Exit(1)


async def _watch(camera: Camera, board: Board, screen: Console, every_s: float, once: int | None) -> None:
    with Live(board, console=screen, refresh_per_second=4) as live:
        with anyio.move_on_after(SILENCE_S) as patience:
            async for seen in camera.ask(every_s, once):
                board.add(seen)
                patience.deadline = anyio.current_time() + SILENCE_S
        live.update(board)


def _start(stack: ExitStack, folder: Path, screen: Console, wan: Wan) -> int:
    """Start broker, models, peer and agent, in this order; gives the broker's port."""
    name, port = stack.enter_context(broker(folder))
    screen.print(f"broker: {name} on 127.0.0.1:{port}")
    peer_port = free_port()
    portal = stack.enter_context(start_blocking_portal())
    wan_port = stack.enter_context(portal.wrap_async_context_manager(wan.to(peer_port)))
    screen.print(f"cloud: behind an emulated link of {wan.path.rtt_ms:g} ms and {wan.path.mbps:g} Mbit/s")
    socket = f"unix:{folder}/vlm.sock"
    site = folder / "agent.yaml"
    site.write_text(
        yaml.safe_dump(
            {
                "device": DEVICE,
                "broker": {"url": f"mqtt://127.0.0.1:{port}"},
                "local": socket,
                "state_dir": str(folder),
                "discovery": {"zeroconf": True, "mqtt": False},
            }
        )
    )
    vlm = ["inarvl-vlm", "serve", *_models(EDGES), "--quantization", "nf4", "--listen", socket]
    peer = ["inarvl-cloud", "serve", *_models(CLOUDS), "--id", "demo-cloud"]
    peer += ["--listen", f"127.0.0.1:{peer_port}", "--advertise", f"127.0.0.1:{wan_port}"]
    agent = ["inarvl", "run", "--config", str(site)]
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=screen
    ) as progress:
        models = [
            (_begin(stack, name, [*command, "--threads", "1"], folder), progress.add_task(name))
            for name, command in (("board model", vlm), ("cloud peer", peer))
        ]
        for service, task in models:
            _await_ready(service, progress, task)
        service = _begin(stack, "agent", agent, folder)
        _await_ready(service, progress, progress.add_task("agent"))
    return port


def _models(sources: Sequence[str]) -> list[str]:
    return [word for source in sources for word in ("--model", source)]


def _begin(stack: ExitStack, name: str, command: list[str], folder: Path) -> Service:
    tool = Path(sys.executable).with_name(command[0])
    service = Service(name, [str(tool), *command[1:]], folder)
    stack.callback(service.stop)
    return service


def _await_ready(service: Service, progress: Progress, task: TaskID) -> None:
    service.wait_ready(START_S, lambda status: progress.update(task, description=f"{service.name}: {status}"))
    progress.update(task, description=f"{service.name}: ready", total=1, completed=1)


if __name__ == "__main__":
    app()
