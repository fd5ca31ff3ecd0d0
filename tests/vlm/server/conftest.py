"""Real servers with tiny random models, and clients that connect to them."""

import base64
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from anyio import to_thread
from anyio.from_thread import start_blocking_portal
from PIL import Image

from vlm import VlmClient
from vlm.checkpoint import Checkpoint
from vlm.model import Answer, VisionModel
from vlm.server import ServeOptions, ServerInfo, serve

Build = Callable[[str], Path]
Running = Callable[..., AbstractContextManager[ServerInfo]]


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A red 64x48 JPEG."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="session")
def running(checkpoint: Build) -> Running:
    """Runs a server in a separate thread until the `with` ends."""

    @contextmanager
    def run(listen: str, families: tuple[str, ...] = ("llava",), **options: Any) -> Iterator[ServerInfo]:
        models = tuple(Checkpoint.at(str(checkpoint(family)), "nf4") for family in families)
        settings = ServeOptions(models, listen, "cpu", threads=1, **options)
        ready: Future[ServerInfo] = Future()

        async def on_ready(info: ServerInfo) -> None:
            ready.set_result(info)

        with start_blocking_portal() as portal:
            stop = portal.call(anyio.Event)
            served = portal.start_task_soon(partial(serve, settings, on_ready=on_ready, stop=stop))
            served.add_done_callback(
                lambda ended: None if ready.done() else ready.set_exception(ended.exception())
            )
            try:
                yield ready.result(60)
            finally:
                portal.call(stop.set)
                served.result(60)

    return run


@pytest.fixture(scope="session")
def unix_server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with two models on a unix socket."""
    path = tmp_path_factory.mktemp("socket") / "vlm.sock"
    with running(f"unix:{path}", ("llava", "smolvlm"), max_tokens=1500, queue=1):
        yield f"unix:{path}"


@pytest.fixture(scope="session")
def tcp_server(running: Running) -> Iterator[str]:
    """URL of a server with one model on TCP."""
    with running("127.0.0.1:0") as info:
        yield f"http://{info.host}:{info.port}"


@pytest.fixture
def server_url(request: pytest.FixtureRequest) -> str:
    """URL of the server that `client` and `session` use; parametrize it with the name of a fixture."""
    return str(request.getfixturevalue(getattr(request, "param", "unix_server")))


@pytest.fixture
async def client(server_url: str) -> AsyncIterator[VlmClient]:
    client = VlmClient(server_url)
    yield client
    await client.aclose()


@pytest.fixture
async def session(server_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP session, for requests that VlmClient does not send."""
    path = server_url.removeprefix("unix:")
    connector = aiohttp.UnixConnector(path) if path != server_url else None
    base_url = "http://vlm" if connector else server_url
    async with aiohttp.ClientSession(base_url, connector=connector) as session:
        yield session


@pytest.fixture
def chat_body(jpeg: bytes) -> Callable[..., dict[str, Any]]:
    """Builds the JSON of a chat completion request; keyword arguments add or replace fields."""

    def build(**fields: Any) -> dict[str, Any]:
        url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what?"}]
        return {"model": "llava", "messages": [{"role": "user", "content": content}], **fields}

    return build


@pytest.fixture
def metrics(session: aiohttp.ClientSession) -> Callable[[], Awaitable[dict[str, float]]]:
    """Reads all metrics of the server."""

    async def read() -> dict[str, float]:
        async with session.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line[0] != "#")
        return {name: float(value) for name, value in samples}

    return read


@pytest.fixture
def metric_is(metrics: Callable[[], Awaitable[dict[str, float]]]) -> Callable[[str, float], Awaitable[None]]:
    """Waits until a metric has a value."""

    async def wait(name: str, value: float) -> None:
        with anyio.fail_after(30):
            while (await metrics()).get(name, 0) != value:  # noqa: ASYNC110 - the server is in another thread
                await anyio.sleep(0.005)

    return wait


class PausedModel:
    """Makes every generation wait for `resume`, and records how each one ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.endings: list[str] = []
        self._started = threading.Event()
        self._resumed = threading.Event()
        self._ended = threading.Event()
        real = VisionModel.generate

        def generate(model: VisionModel, *args: Any, **options: Any) -> Answer:
            self._started.set()
            assert self._resumed.wait(30)
            try:
                answer = real(model, *args, **options)
                self.endings.append(answer.finish_reason)
                return answer
            except BaseException as error:
                self.endings.append(type(error).__name__)
                raise
            finally:
                self._ended.set()

        patch.setattr(VisionModel, "generate", generate)

    def resume(self) -> None:
        self._resumed.set()

    async def started(self) -> None:
        """Waits until the first generation has started."""
        assert await to_thread.run_sync(self._started.wait, 30)

    async def ended(self) -> None:
        """Waits until the first generation has ended."""
        assert await to_thread.run_sync(self._ended.wait, 30)


@pytest.fixture
def paused_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[PausedModel]:
    model = PausedModel(monkeypatch)
    yield model
    model.resume()
