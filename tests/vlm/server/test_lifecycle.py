"""A server loads, becomes ready, drains, and exits on failures."""

import io
import resource
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from anyio import to_thread
from PIL import Image

from vlm import VlmClient, VlmError, VlmUnavailable, loading, runtime, server
from vlm.checkpoint import Checkpoint
from vlm.errors import ModelLoadError, OutOfMemory
from vlm.model import VisionModel
from vlm.server import ServeOptions, ServerInfo, serve

pytestmark = pytest.mark.anyio

Build = Callable[[str], Path]
UNITS = Path(__file__).parents[3] / "systemd"


@pytest.fixture
def options(checkpoint: Build, tmp_path: Path) -> Callable[..., ServeOptions]:
    """Options for one model on a new unix socket."""
    models = (Checkpoint.at(str(checkpoint("llava")), "none"),)

    def build(**changed: Any) -> ServeOptions:
        return ServeOptions(**{"models": models, "listen": f"unix:{tmp_path}/s", "device": "cpu", **changed})

    return build


async def wait_until_reachable(client: VlmClient) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                await client.ping()
                return
            except VlmUnavailable:
                await anyio.sleep(0.01)


async def test_ready_means_loaded_and_warmed_up(
    options: Callable[..., ServeOptions], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the server is alive and refuses questions."""
    continue_loading, warmed_up = threading.Event(), []
    load, warm_up = loading.load, VisionModel.warm_up

    def load_later(*args: Any) -> VisionModel:
        assert continue_loading.wait(30)
        return load(*args)

    def recorded(model: VisionModel, check: Callable[[], None]) -> None:
        warm_up(model, check)
        warmed_up.append(model.card.id)

    monkeypatch.setattr(runtime, "load", load_later)
    monkeypatch.setattr(VisionModel, "warm_up", recorded)
    settings = options()
    client, stop, ready = VlmClient(settings.listen), anyio.Event(), anyio.Event()

    async def on_ready(info: ServerInfo) -> None:
        assert (info.host, info.port, warmed_up) == (settings.listen.removeprefix("unix:"), None, ["llava"])
        ready.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, settings, on_ready=on_ready, stop=stop))
        await wait_until_reachable(client)
        assert not await client.ready()
        assert await client.models() == []
        with pytest.raises(VlmUnavailable, match="loading llava, 1 of 1"):
            await client.complete("?", jpeg, model="llava", max_tokens=1, timeout_s=10)
        continue_loading.set()
        with anyio.fail_after(60):
            await ready.wait()
        assert await client.ready()
        stop.set()
    await client.aclose()


async def test_stopping_answers_accepted_requests_and_refuses_new_ones(
    options: Callable[..., ServeOptions], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = options()
    client, stop, ready = VlmClient(settings.listen), anyio.Event(), anyio.Event()
    started, resume = threading.Event(), threading.Event()
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

        def paused(*args: Any, **kwargs: Any) -> Any:
            started.set()
            assert resume.wait(30)
            return generate(*args, **kwargs)

        monkeypatch.setattr(VisionModel, "generate", paused)
        tasks.start_soon(ask)
        assert await to_thread.run_sync(started.wait, 30)
        stop.set()
        with anyio.fail_after(30):
            while await client.ready():  # noqa: ASYNC110 - there is no event for it
                await anyio.sleep(0.005)
        with pytest.raises(VlmUnavailable):
            await client.complete("?", jpeg, model="llava", max_tokens=4, timeout_s=30)
        resume.set()
    assert texts
    await client.aclose()


async def test_a_stuck_model_stops_the_server(
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


async def test_out_of_memory_is_reported_and_stops_the_server(
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


async def test_after_a_real_out_of_memory_the_server_can_start_again(
    options: Callable[..., ServeOptions], jpeg: bytes
) -> None:
    """The memory limit fits a small image only. The second start is what systemd would do."""
    huge = io.BytesIO()
    Image.new("RGB", (4999, 4999)).save(huge, "PNG")
    settings = options()
    client = VlmClient(settings.listen)
    ask = partial(client.complete, "?", model="llava", max_tokens=2, timeout_s=60)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)

    async def ask_too_much() -> None:
        limit = psutil.Process().memory_info().vms + 2**26
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
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
        tasks.start_soon(ask_again)

    async def ask_again() -> None:
        assert (await ask(jpeg)).text
        stop.set()

    async with anyio.create_task_group() as tasks:
        await serve(settings, on_ready=on_ready_again, stop=stop)
    await client.aclose()


async def test_memory_over_its_limit_stops_the_server(options: Callable[..., ServeOptions]) -> None:
    with pytest.raises(OutOfMemory, match="MiB resident, over the limit"):
        await serve(options(max_rss_bytes=2**20), stop=anyio.Event())


async def test_growing_memory_stops_the_server(
    options: Callable[..., ServeOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only growth since the server was ready counts."""
    monkeypatch.setattr("vlm.server.WATCH_S", 0.01)
    leaked: list[bytes] = []

    async def leak() -> None:
        await anyio.sleep(0.2)
        leaked.append(b"x" * 2**27)

    async def on_ready(_info: ServerInfo) -> None:
        tasks.start_soon(leak)

    async with anyio.create_task_group() as tasks:
        with pytest.raises(OutOfMemory, match="MiB more resident than when it was ready"):
            await serve(options(max_rss_growth_bytes=2**26), on_ready=on_ready, stop=anyio.Event())
    assert leaked


async def test_a_model_that_cannot_be_loaded_stops_the_server(
    options: Callable[..., ServeOptions], tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        await serve(options(models=(Checkpoint(str(tmp_path), "m", "none"),)), stop=anyio.Event())


async def test_names_must_differ(options: Callable[..., ServeOptions]) -> None:
    with pytest.raises(ModelLoadError, match="each a different --name"):
        await serve(options(models=options().models * 2), stop=anyio.Event())


async def test_the_server_can_stop_while_loading(
    options: Callable[..., ServeOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    release, stop = threading.Event(), anyio.Event()
    monkeypatch.setattr(runtime, "load", lambda *_args: release.wait(60))
    settings = options()
    client = VlmClient(settings.listen)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, settings, stop=stop))
        await wait_until_reachable(client)
        stop.set()
        threading.Timer(0.2, release.set).start()
    await client.aclose()


@pytest.mark.parametrize(("watchdog_s", "warned"), [(60, False), (31, False), (30, True), (None, False)])
def test_a_watchdog_that_would_end_the_draining_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, watchdog_s: int | None, warned: bool
) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", str(watchdog_s * 1_000_000) if watchdog_s else "")
    server._check_watchdog(10.0)
    assert ("make WatchdogSec longer than 30 s" in caplog.text) == warned
