"""The application on Ray Serve, with a bundled model, answers like one server and survives its replicas.

The board has a mock model. Broker, agent and Ray are real, and the application announces itself over MQTT.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import psutil
import pytest

from agent.client import ask
from agent.config.settings import Settings, load_settings
from agent.forms.form import AnswerForm
from agent.messages.query import Query
from agent.messages.reply import Answer, Reply
from agent.standalone.broker import find_mosquitto, free_port
from agent.standalone.service_process import ServiceProcess
from lab.rig.deployment import Deployment, program
from product import jpeg
from vlm import VlmClient
from vlm.completion import Completion
from vlm.dialect import Dialect

PYTHON = Path(__file__).parents[2] / ".engines/ray/bin/python"
MODEL = "inarvl-cloud-mid"
SERVE = ("--model", f"bundled:{MODEL}", "--threads", "1")
RAY = (str(PYTHON), "-c", "from cloud.cli import app; app()", "ray", *SERVE, "--no-zeroconf", "--cpus", "0.5")
COLOURS = ("red", "green", "blue", "yellow")
START_S = 240.0
WAIT_S = 120.0
QUESTIONS = 120
AT_ONCE = 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PYTHON.exists(), reason="Ray is not installed: scripts/engine ray"),
    pytest.mark.skipif(not find_mosquitto(), reason="mosquitto is not installed"),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two replicas on Ray, announced to an agent."""
    discovery = {
        "zeroconf": False,
        "mqtt": True,
        "trust": "any",
    }  # other tests on this machine announce by zeroconf
    running = Deployment(tmp_path_factory.mktemp("ray"), settings={"peers": [], "discovery": discovery})
    running.cloud_command = on_ray(running, "--replicas", "2")
    try:
        running.start_all()
        yield running
    finally:
        running.stop_all()


def on_ray(deployment: Deployment, *options: str) -> tuple[str, ...]:
    broker = f"mqtt://{deployment.layout.address}:{deployment.layout.broker_port}"
    return (*RAY, "--id", "ray", "--broker", broker, *options)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one `inarvl-vlm serve` with the same model."""
    address = f"127.0.0.1:{free_port()}"
    command = [*program("vlm.cli"), "serve", *SERVE, "--quantization", "none", "--listen", address]
    server = ServiceProcess("single", command, tmp_path_factory.mktemp("single"))
    try:
        server.wait_ready(START_S, lambda _status: None)
        yield f"http://{address}"
    finally:
        server.stop()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[VlmClient]:
    connected = VlmClient(url)
    try:
        yield connected
    finally:
        await connected.aclose()


async def question(server: VlmClient, seed: int, choices: tuple[str, ...] = ()) -> Completion:
    image, text = jpeg(seed)
    return await server.complete(text, image, model=MODEL, max_tokens=8, timeout_s=WAIT_S, choices=choices)


async def through_agent(settings: Settings, seed: int, **fields: Any) -> Reply:
    image, text = jpeg(seed)
    name = f"q-{os.urandom(4).hex()}"
    query = Query(name, text, image, deadline_ms=WAIT_S * 1000, client=name, **fields)
    reply = await ask(settings, query, timeout_s=WAIT_S)
    assert reply.id == name
    return reply


async def metrics(url: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        return await response.text()


async def replicas(url: str) -> set[str]:
    """Returns the names of the replicas that are ready."""
    return set(re.findall(r'inarvl_vlm_queue_length\{replica="(\w+)"\}', await metrics(url)))


async def until_true(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(WAIT_S):
        while not await condition():  # noqa: ASYNC110
            await anyio.sleep(0.5)


async def until_the_cloud_answers(settings: Settings) -> None:
    async def answers() -> bool:
        return isinstance(await through_agent(settings, 0, pin="cloud"), Answer)

    await until_true(answers)


def kill_one(deployment: Deployment, name: str) -> None:
    """Kills the process of one of the replicas of `model`, or of `ingress`."""
    children = psutil.Process(deployment.services["cloud"].pid).children(recursive=True)
    pids = [child.pid for child in children if f"ServeReplica:inarvl:{name}" in " ".join(child.cmdline())]
    os.kill(pids[0], signal.SIGKILL)


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def ask_and_kill(deployment: Deployment, name: str, one: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """Asks QUESTIONS questions, AT_ONCE at a time, and kills a process after a third of them."""
    results: list[Any] = []
    turns = anyio.Semaphore(AT_ONCE)

    async def ask_one(seed: int) -> None:
        async with turns:
            if len(results) >= QUESTIONS // 3 and not killed.is_set():
                killed.set()
                kill_one(deployment, name)
            results.append(await one(seed % 20))

    killed = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for seed in range(QUESTIONS):
            tasks.start_soon(ask_one, seed)
    assert killed.is_set()
    return results


async def test_it_answers_like_a_single_server(deployment: Deployment, single: str) -> None:
    async with client(deployment.cloud_url) as ray, client(single) as reference:
        assert await ray.models() == await reference.models()
        assert await ray.ready()
        for seed in range(24):
            choices = COLOURS if seed % 4 == 0 else ()
            got, expected = await question(ray, seed, choices), await question(reference, seed, choices)
            assert got.text == expected.text
            assert got.completion_tokens == expected.completion_tokens
            assert got.confidence.mean_logprob == pytest.approx(expected.confidence.mean_logprob, abs=1e-4)
            assert got.confidence.first_token_margin == pytest.approx(
                expected.confidence.first_token_margin, abs=1e-4
            )
            assert got.choice_probabilities == pytest.approx(expected.choice_probabilities, abs=1e-4)
            assert got.compute_ms is not None
    texts = await metrics(deployment.cloud_url)
    answered = re.findall(r"inarvl_vlm_requests_total\{.*outcome=\"ok\".*\} (\d+)", texts)
    assert len(answered) == 2, "both replicas answered, and each has its own metrics"
    assert sum(map(int, answered)) >= 24


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", b"{"),
        ("POST", "/v1/chat/completions", json.dumps({"model": "none", "messages": []}).encode()),
        ("POST", "/v1/chat/completions", b" " * (33 * 2**20)),
        ("GET", "/v1/chat/completions", b""),
        ("GET", "/v1/models/none", b""),
        ("GET", "/nothing?here=1", b""),
        ("POST", "/probe", b"x" * 100_000),
        ("GET", f"/v1/models/{MODEL}", b""),
    ],
    ids=["invalid", "unknown model", "too large", "method", "model", "path", "probe", "card"],
)
async def test_other_requests_get_the_same_response(
    deployment: Deployment, single: str, method: str, path: str, body: bytes
) -> None:
    responses = []
    async with aiohttp.ClientSession() as http:
        for url in (deployment.cloud_url, single):
            async with http.request(method, url + path, data=body or None) as response:
                responses.append((response.status, response.content_type, await response.json()))
    assert responses[0] == responses[1]


async def test_a_stream_arrives_in_pieces(deployment: Deployment, single: str) -> None:
    image, text = jpeg(3)
    async with client(single) as reference:
        expected = (await question(reference, 3)).text
    body = Dialect(logprobs=False).request(text, image, model=MODEL, max_tokens=8)
    async with aiohttp.ClientSession() as http:
        url = f"{deployment.cloud_url}/v1/chat/completions"
        async with http.post(url, json={**body, "stream": True}) as response:
            assert response.content_type == "text/event-stream"
            *events, done = [line[6:] async for line in response.content if line.startswith(b"data: ")]
    assert done.strip() == b"[DONE]"
    assert len(events) > 1
    deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(deltas).strip() == expected


async def test_a_replica_that_is_killed_under_load_loses_no_question(deployment: Deployment) -> None:
    before = await replicas(deployment.cloud_url)
    async with client(deployment.cloud_url) as ray:
        answered = await ask_and_kill(deployment, "model", lambda seed: question(ray, seed))
    assert len(answered) == QUESTIONS
    log = (deployment.folder / "cloud.log").read_text()
    assert "a replica ended during a request" in log, "the replica was killed while it answered"

    async def two() -> bool:
        return len(await replicas(deployment.cloud_url)) == 2

    await until_true(two)
    assert await replicas(deployment.cloud_url) != before, "another replica was started"


async def test_nor_does_the_agent_lose_one(deployment: Deployment) -> None:
    settings = load_settings(deployment.folder / "agent.yaml")
    replies = await ask_and_kill(deployment, "model", lambda seed: through_agent(settings, seed, pin="cloud"))
    assert [reply for reply in replies if not isinstance(reply, Answer)] == []
    assert {reply.tier for reply in replies} == {"cloud"}
    assert len(replies) == QUESTIONS


async def test_the_agent_loses_none_either_if_an_ingress_is_killed(deployment: Deployment) -> None:
    """The questions in the ingress are lost with it; the agent then asks the board, or the cloud again."""
    settings = load_settings(deployment.folder / "agent.yaml")
    replies = await ask_and_kill(deployment, "ingress", lambda seed: through_agent(settings, seed))
    assert [reply for reply in replies if not isinstance(reply, Answer)] == []
    assert len(replies) == QUESTIONS
    await until_the_cloud_answers(settings)


async def test_choices_are_constrained_through_the_agent(deployment: Deployment) -> None:
    settings = load_settings(deployment.folder / "agent.yaml")
    form = AnswerForm.from_fields({"answer": "choice", "choices": list(COLOURS)})
    reply = await through_agent(settings, 0, pin="cloud", form=form)
    assert isinstance(reply, Answer)
    assert reply.value in COLOURS


async def test_the_agent_recovers_from_the_death_of_the_application(deployment: Deployment) -> None:
    settings = load_settings(deployment.folder / "agent.yaml")
    processes = psutil.Process(deployment.services["cloud"].pid).children(recursive=True)
    deployment.kill("cloud")

    async def all_ended() -> bool:  # Ray's processes follow
        return all(has_ended(process) for process in processes)

    await until_true(all_ended)
    for seed in range(4):
        reply = await through_agent(settings, seed)
        assert isinstance(reply, Answer)
        assert reply.tier == "local"
    scaling = ("--replicas", "1", "--max-replicas", "2", "--upscale-delay-s", "1")
    deployment.cloud_command = on_ray(deployment, *scaling)
    deployment.start("cloud")
    deployment.services["cloud"].wait_ready(START_S, lambda _status: None)
    await until_the_cloud_answers(settings)


async def test_a_second_replica_is_added_under_load(deployment: Deployment) -> None:
    """The application has one replica at least and two at most since the test above."""
    assert len(await replicas(deployment.cloud_url)) == 1

    async def two() -> bool:
        return len(await replicas(deployment.cloud_url)) == 2

    async with client(deployment.cloud_url) as ray, anyio.create_task_group() as tasks:

        async def load() -> None:
            while True:
                await question(ray, 0)

        for _ in range(AT_ONCE):
            tasks.start_soon(load)
        await until_true(two)
        tasks.cancel_scope.cancel()


async def test_sigterm_stops_it(deployment: Deployment) -> None:
    assert deployment.services.pop("cloud").stop() == 0


def test_a_replica_ends_with_its_server() -> None:
    """Its memory is over the limit as soon as it is ready."""
    program = (
        "import time; from cloud.ray_replica import Replica; from vlm.checkpoint import Checkpoint; "
        "from vlm.server import ServeOptions; "
        f"models = (Checkpoint.at('bundled:{MODEL}', 'none'),); "
        "replica = Replica(ServeOptions(models, '', 'cpu', threads=1, max_rss_bytes=1)); time.sleep(100)"
    )
    ran = subprocess.run(
        [PYTHON, "-c", program], capture_output=True, text=True, timeout=START_S, check=False
    )
    assert ran.returncode == 1
    assert "over the limit" in ran.stderr
