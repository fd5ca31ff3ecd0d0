"""A hub on loopback, which huggingface_hub's own client downloads from."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal

from vlm import bundled

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"


class FakeHub:
    """Serves the folders in `repos` under their ids.

    Attributes:
        gated: ids whose files need a token.
        break_at: the next download of weights ends after this many bytes; None for no break.
        break_by: "cut" closes the connection there, "stall" sends nothing more.
        broken: set when a download has reached `break_at`.
        requests: method, path and Range header of each request for a file, in order.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.break_at: int | None = None
        self.break_by = "cut"
        self.broken = threading.Event()
        self.requests: list[tuple[str, str, str | None]] = []
        self.url = ""

    def downloaded(self) -> set[str]:
        return {path for method, path, _ in self.requests if method == "GET"}

    def ranges(self) -> list[str | None]:
        return [start for method, path, start in self.requests if (method, path) == ("GET", WEIGHTS)]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/models/{owner}/{name}", self._info)
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self._info)
        app.router.add_get("/api/models/{owner}/{name}/tree/{revision}", self._tree)
        app.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._file)
        return app

    def _repo(self, request: web.Request) -> tuple[str, Path]:
        repo = f"{request.match_info['owner']}/{request.match_info['name']}"
        if repo not in self.repos:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        return repo, self.repos[repo]

    async def _info(self, request: web.Request) -> web.Response:
        repo, folder = self._repo(request)
        siblings = [{"rfilename": path, "size": size} for path, size in _files(folder).items()]
        return web.json_response({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings})

    async def _tree(self, request: web.Request) -> web.Response:
        _, folder = self._repo(request)
        files = _files(folder).items()
        tree = [
            {"type": "file", "path": path, "size": size, "oid": _etag(folder / path)} for path, size in files
        ]
        return web.json_response(tree)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        repo, folder = self._repo(request)
        if repo in self.gated and request.headers.get("Authorization") != "Bearer accepted":
            raise web.HTTPUnauthorized(headers={"X-Error-Code": "GatedRepo"})
        path = request.match_info["path"]
        requested = request.headers.get("Range")
        self.requests.append((request.method, path, requested))
        content = await anyio.Path(folder / path).read_bytes()
        start = int(re.findall(r"\d+", requested)[0]) if requested else 0
        headers = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{_etag(folder / path)}"',
            "Content-Length": str(len(content) - start),
            "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}",
        }
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        if request.method == "GET":
            await self._send(request, response, content[start:], path)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, content: bytes, path: str
    ) -> None:
        if path != WEIGHTS or self.break_at is None:
            await response.write(content)
            return
        await response.write(content[: self.break_at])
        self.break_at = None
        self.broken.set()
        if self.break_by == "stall":
            await anyio.sleep(60)
        assert request.transport
        request.transport.close()


def _files(folder: Path) -> dict[str, int]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _etag(file: Path) -> str:
    """The SHA-256 of a file, as the hub's for large files."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    with start_blocking_portal() as portal:
        runner = web.AppRunner(hub.app(), handler_cancellation=True, shutdown_timeout=0.01)
        portal.call(runner.setup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        portal.call(site.start)
        hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield hub
        portal.call(runner.cleanup)


@pytest.fixture
def repo(tmp_path: Path, fake_hub: FakeHub) -> Path:
    """The folder of `maker/drawn` at the hub: a bundled checkpoint, and files that loading does not need."""
    folder = Path(shutil.copytree(bundled.path("inarvl-edge-swift"), tmp_path / "repo"))
    for extra in (
        "onnx/model.onnx",
        "pytorch_model.bin",
        "consolidated.safetensors",
        "modeling.py",
        ".gitattributes",
    ):
        (folder / extra).parent.mkdir(exist_ok=True)
        (folder / extra).write_text("not needed")
    fake_hub.repos["maker/drawn"] = folder
    return folder


@pytest.fixture
def large_weights(repo: Path) -> bytes:
    """Replaces the weights by more than two of the blocks that huggingface_hub writes, 10 MiB each."""
    weights = np.random.default_rng(0).bytes(25 * 2**20)
    (repo / WEIGHTS).write_bytes(weights)
    return weights


@pytest.fixture
def cache(tmp_path: Path, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes huggingface_hub in this process use the fake hub and an empty cache, whose folder it returns."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("HF_")]:
        monkeypatch.delenv(name)
    values = {
        "ENDPOINT": fake_hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": fake_hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": False,
    }
    for name, value in values.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    return tmp_path / "cache"


@pytest.fixture
def start(tmp_path: Path, fake_hub: FakeHub) -> Callable[..., subprocess.Popen[str]]:
    """Starts inarvl-vlm as a process that uses the fake hub and an empty cache."""

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()
        }
        own = {"HF_ENDPOINT": fake_hub.url, "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", "from vlm.cli import app; app()", *arguments],
            env={**inherited, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture
def vlm(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Runs inarvl-vlm to its end. Returns exit status, standard output and standard error."""

    def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        process = start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    return run
