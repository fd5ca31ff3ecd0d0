"""How a server starts, tells of itself, drains and ends."""

import io
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from anyio import to_thread
from PIL import Image

from vlm import loading, runtime
from vlm.checkpoint import Checkpoint
from vlm.client import VlmClient
from vlm.errors import ListenError, ModelLoadError, OutOfMemory, VlmError, VlmUnavailable
from vlm.model import VisionModel
from vlm.server import ServeOptions, ServerInfo, serve
from vlm.sockets import listening

pytestmark = pytest.mark.anyio

Build = Callable[[str], Path]
UNITS = Path(__file__).parents[2] / "systemd"


@pytest.fixture
def options(checkpoint: Build, tmp_path: Path) -> Callable[..., ServeOptions]:
    """Options for one model on a unix socket of its own."""
    models = (Checkpoint.at(str(checkpoint("llava")), "none"),)

    def build(**changed: Any) -> ServeOptions:
        return ServeOptions(**{"models": models, "listen": f"unix:{tmp_path}/s", "device": "cpu", **changed})

    return build


async def until_reached(client: VlmClient) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                await client.ping()
                return
            except VlmUnavailable:
                await anyio.sleep(0.01)


async def test_ready_means_loaded_and_warm(
    options: Callable[..., ServeOptions], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the process shows that it lives and refuses questions."""
    go_on, warmed = threading.Event(), []
    load, warm_up = loading.load, VisionModel.warm_up

    def held(*args: Any) -> VisionModel:
        assert go_on.wait(30)
        return load(*args)

    def noted(model: VisionModel, check: Callable[[], None]) -> None:
        warm_up(model, check)
        warmed.append(model.card.id)

    monkeypatch.setattr(runtime, "load", held)
    monkeypatch.setattr(VisionModel, "warm_up", noted)
    settings = options()
    client, stop, ready = VlmClient(settings.listen), anyio.Event(), anyio.Event()

    async def on_ready(info: ServerInfo) -> None:
        assert (info.host, info.port, warmed) == (settings.listen.removeprefix("unix:"), None, ["llava"])
        ready.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, settings, on_ready=on_ready, stop=stop))
        await until_reached(client)
        assert not await client.ready()
        assert await client.models() == []
        with pytest.raises(VlmUnavailable, match="loading llava, 1 of 1"):
            await client.complete("?", jpeg, model="llava", max_tokens=1, timeout_s=10)
        go_on.set()
        with anyio.fail_after(60):
            await ready.wait()
        assert await client.ready()
        stop.set()
    await client.aclose()


async def test_stopping_answers_what_is_in_and_refuses_the_rest(
    options: Callable[..., ServeOptions], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = options()
    client, stop, ready = VlmClient(settings.listen), anyio.Event(), anyio.Event()
    started, go_on = threading.Event(), threading.Event()
    texts: list[str] = []

    async def on_ready(_info: ServerInfo) -> None:
        ready.set()

    async def ask() -> None:
        texts.append((await client.complete("?", jpeg, model="llava", max_tokens=4, timeout_s=30)).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, settings, on_ready=on_ready, stop=stop))
        with anyio.fail_after(60):
            await ready.wait()
        generate = VisionModel.generate

        def held(*args: Any, **kwargs: Any) -> Any:
            started.set()
            assert go_on.wait(30)
            return generate(*args, **kwargs)

        monkeypatch.setattr(VisionModel, "generate", held)
        tasks.start_soon(ask)
        assert await to_thread.run_sync(started.wait, 30)
        stop.set()
        with anyio.fail_after(30):
            while await client.ready():  # noqa: ASYNC110 - the socket tells no event
                await anyio.sleep(0.005)
        with pytest.raises(VlmUnavailable):
            await client.complete("?", jpeg, model="llava", max_tokens=4, timeout_s=30)
        go_on.set()
    assert texts
    await client.aclose()


async def test_a_stuck_model_ends_the_server(
    options: Callable[..., ServeOptions], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlm.server.WATCH_S", 0.01)
    monkeypatch.setattr("vlm.server.CLOSE_S", 0.01)
    settings = options(stuck_s=0.1, drain_s=0)
    client, release = VlmClient(settings.listen), threading.Event()

    async def on_ready(_info: ServerInfo) -> None:
        monkeypatch.setattr(VisionModel, "generate", lambda *_args, **_kwargs: release.wait(60))
        tasks.start_soon(ask)

    async def ask() -> None:
        with pytest.raises(VlmError):
            await client.complete("?", jpeg, model="llava", max_tokens=4, timeout_s=30)

    async with anyio.create_task_group() as tasks:
        with pytest.raises(VlmUnavailable, match="no token for"):
            await serve(settings, on_ready=on_ready, stop=anyio.Event())
        release.set()
    await client.aclose()


async def test_memory_that_runs_out_is_answered_and_ends_the_server(
    options: Callable[..., ServeOptions], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = options()
    client = VlmClient(settings.listen)
    errors: list[VlmError] = []

    def exhausted(*_args: Any) -> None:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB"
        )

    async def on_ready(_info: ServerInfo) -> None:
        monkeypatch.setattr(VisionModel, "_inputs", exhausted)
        tasks.start_soon(ask)

    async def ask() -> None:
        with pytest.raises(VlmUnavailable) as failed:
            await client.complete("?", jpeg, model="llava", max_tokens=4, timeout_s=30)
        errors.append(failed.value)

    async with anyio.create_task_group() as tasks:
        with pytest.raises(OutOfMemory, match="send a smaller image"):
            await serve(settings, on_ready=on_ready, stop=anyio.Event())
    assert "ran out of memory" in str(errors[0])
    await client.aclose()


async def test_memory_that_runs_out_for_real_leaves_a_server_that_can_be_started_afresh(
    options: Callable[..., ServeOptions], jpeg: bytes
) -> None:
    """The kernel grants no more of it than a small image needs; the second start stands in for systemd's."""
    huge = io.BytesIO()
    Image.new("RGB", (7900, 7900)).save(huge, "PNG")
    settings = options()
    client = VlmClient(settings.listen)
    ask = partial(client.complete, "?", model="llava", max_tokens=2, timeout_s=60)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)

    async def ask_too_much() -> None:
        room = psutil.Process().memory_info().vms + 2**26
        resource.setrlimit(resource.RLIMIT_AS, (room, hard))
        try:
            assert (await ask(jpeg)).text
            with pytest.raises(VlmUnavailable, match="llava ran out of memory; send a smaller image"):
                await ask(huge.getvalue())
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    async def on_ready(_info: ServerInfo) -> None:
        tasks.start_soon(ask_too_much)

    async with anyio.create_task_group() as tasks:
        with pytest.raises(OutOfMemory):
            await serve(settings, on_ready=on_ready, stop=anyio.Event())
    assert "Restart=on-failure" in (UNITS / "inarvl-vlm.service").read_text()
    stop = anyio.Event()

    async def on_ready_again(_info: ServerInfo) -> None:
        tasks.start_soon(ask_once_more)

    async def ask_once_more() -> None:
        assert (await ask(jpeg)).text
        stop.set()

    async with anyio.create_task_group() as tasks:
        await serve(settings, on_ready=on_ready_again, stop=stop)
    await client.aclose()


async def test_memory_over_its_limit_ends_the_server(options: Callable[..., ServeOptions]) -> None:
    with pytest.raises(OutOfMemory, match="MiB resident, over the limit"):
        await serve(options(max_rss_bytes=2**20), stop=anyio.Event())


async def test_memory_that_keeps_growing_ends_the_server(
    options: Callable[..., ServeOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had when it was ready, however much, is no growth."""
    monkeypatch.setattr("vlm.server.WATCH_S", 0.01)
    hoard: list[bytes] = []

    async def leak() -> None:
        await anyio.sleep(0.2)
        hoard.append(b"x" * 2**27)

    async def on_ready(_info: ServerInfo) -> None:
        tasks.start_soon(leak)

    async with anyio.create_task_group() as tasks:
        with pytest.raises(OutOfMemory, match="MiB more resident than when it was ready"):
            await serve(options(max_rss_growth_bytes=2**26), on_ready=on_ready, stop=anyio.Event())
    assert hoard


async def test_a_model_that_cannot_be_loaded_ends_the_server(
    options: Callable[..., ServeOptions], tmp_path: Path
) -> None:
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        await serve(options(models=(Checkpoint(str(tmp_path), "m", "none"),)), stop=anyio.Event())


async def test_names_must_differ(options: Callable[..., ServeOptions]) -> None:
    with pytest.raises(ModelLoadError, match="a different --name"):
        await serve(options(models=options().models * 2), stop=anyio.Event())


async def test_stopping_while_loading_ends_at_once(
    options: Callable[..., ServeOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    release, stop = threading.Event(), anyio.Event()
    monkeypatch.setattr(runtime, "load", lambda *_args: release.wait(60))
    settings = options()
    client = VlmClient(settings.listen)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, settings, stop=stop))
        await until_reached(client)
        stop.set()
        threading.Timer(0.2, release.set).start()
    await client.aclose()


def test_a_unix_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_a_socket_left_by_a_killed_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listening(f"unix:{path}"), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "write unix:/path/to/socket or host:port"),
        ("127.0.0.1:99999", "write unix:/path/to/socket or host:port"),
        ("192.0.2.1:80", "choose another address or port"),
        ("unix:/no/such/folder/s", "is its folder there and writable"),
    ],
)
def test_where_nobody_can_listen(address: str, words: str) -> None:
    with pytest.raises(ListenError, match=words), listening(address):
        pass


def test_another_servers_socket_is_left_alone(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    with listening(address):
        with pytest.raises(ListenError, match="another server is listening"), listening(address):
            pass
        assert (tmp_path / "s").exists()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(ListenError, match="is no socket"), listening(f"unix:{tmp_path}/s"):
        pass
    assert (tmp_path / "s").read_text() == "precious"


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Reads what a service tells systemd, up to the first message that begins as asked."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(100)

        def read_to(beginning: str) -> str:
            while True:
                message = channel.recv(4096).decode()
                if message.startswith(beginning):
                    return message

        yield read_to


def command(checkpoint: Path, listen: str) -> list[str]:
    program = [sys.executable, "-c", "from vlm.cli import app; app()", "serve", "--device", "cpu"]
    return [*program, "--threads", "1", "--model", str(checkpoint), "--name", "small", "--listen", listen]


@contextmanager
def started(arguments: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A service as a child, which does not outlive the `with`."""
    with subprocess.Popen(
        arguments, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_the_command_serves_under_systemd_until_terminated(
    checkpoint: Build, tmp_path: Path, jpeg: bytes, notified: Callable[[str], str]
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    with started(command(checkpoint("llava"), f"unix:{tmp_path}/s"), **environment) as process:
        ready = await to_thread.run_sync(notified, "READY=1")
        assert ready == "READY=1\nSTATUS=serving small"
        await to_thread.run_sync(notified, "WATCHDOG=1")
        client = VlmClient(f"unix:{tmp_path}/s")
        assert (await client.complete("?", jpeg, model="small", max_tokens=2, timeout_s=30)).text
        await client.aclose()
        process.send_signal(signal.SIGTERM)
        assert "draining" in await to_thread.run_sync(notified, "STOPPING=1")
        _, log = await to_thread.run_sync(partial(process.communicate, timeout=30))
    assert process.returncode == 0, log
    assert "ready: small" in log


def test_the_command_says_in_one_line_why_it_cannot_serve(tmp_path: Path) -> None:
    serve_nothing = command(tmp_path, f"unix:{tmp_path}/s")
    ran = subprocess.run(serve_nothing, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == f"inarvl-vlm: {tmp_path} holds no config.json: is it the checkpoint's own folder?\n"
