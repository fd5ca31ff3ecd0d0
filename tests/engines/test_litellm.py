"""LiteLLM's proxy as the cloud peer, in front of `inarvl-vlm serve` with a bundled model.

The board has a mock model; broker, agent, proxy and model server are real.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import yaml

from agent.client import ask
from agent.config.settings import load_settings
from agent.forms.form import AnswerForm
from agent.messages.query import Query
from agent.messages.reply import Answer, Reply
from agent.standalone.broker import find_mosquitto, free_port
from lab.rig.deployment import Deployment, program
from product import jpeg
from vlm import VlmClient, VlmRefused, VlmUnavailable
from vlm.completion import Completion

PROGRAM = Path(__file__).parents[2] / ".engines/litellm/bin/litellm"
MODEL = "inarvl-cloud-mid"
KEY = "sk-inarvl"
COLOURS = ("red", "green", "blue", "yellow")
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "string"}}}
BACKEND = ("--model", f"bundled:{MODEL}", "--threads", "1", "--quantization", "none")
WAIT_S = 240.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PROGRAM.exists(), reason="LiteLLM is not installed: scripts/engine litellm"),
    pytest.mark.skipif(not find_mosquitto(), reason="mosquitto is not installed"),
]


def models(backend: str) -> list[dict[str, Any]]:
    """Returns the models of the proxy: one model of one server, as of providers with different fields."""

    def entry(name: str, model: str, base: str = f"{backend}/v1", **parameters: Any) -> dict[str, Any]:
        return {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": base, "api_key": "none", **parameters},
        }

    closed = f"http://127.0.0.1:{free_port()}/v1"
    return [
        entry(MODEL, f"openai/{MODEL}"),
        entry("of-vllm", f"hosted_vllm/{MODEL}"),
        entry("refuses-logprobs", f"mistral/{MODEL}"),
        entry("drops-logprobs", f"mistral/{MODEL}", drop_params=True),
        entry("dead", f"openai/{MODEL}", closed),
        entry("dead", "openai/other", closed),
    ]


class Proxy:
    """LiteLLM's proxy, which can be killed and started again."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        config = {
            "model_list": models(backend),
            "litellm_settings": {"telemetry": False, "num_retries": 0, "request_timeout": 60},
            "router_settings": {"num_retries": 0},
            "general_settings": {"master_key": KEY, "forward_client_headers_to_llm_api": True},
        }
        (folder / "litellm.yaml").write_text(yaml.safe_dump(config))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Starts it without waiting for it."""
        address = ("--host", "127.0.0.1", "--port", f"{self.port}")
        environment = dict(os.environ, LITELLM_LOCAL_MODEL_COST_MAP="True")  # reads no price list online
        with (self._folder / "litellm.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "--config", self._folder / "litellm.yaml", *address],
                env=environment,
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def wait_ready(self) -> None:
        """Returns when it answers."""
        async with aiohttp.ClientSession() as http:

            async def answers() -> bool:
                try:
                    async with http.get(f"{self.url}/health/liveliness") as response:
                        return response.status == 200
                except aiohttp.ClientError:
                    assert self._process is not None
                    assert self._process.poll() is None, (self._folder / "litellm.log").read_text()[-2000:]
                    return False

            await until_true(answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def until_true(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(WAIT_S):
        while not await condition():  # noqa: ASYNC110
            await anyio.sleep(0.5)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Proxy]]:
    """An agent whose peer is the proxy."""
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "key").write_text(KEY)
    running = Deployment(folder, cloud_command=(*program("vlm.cli"), "serve", *BACKEND))
    proxy = Proxy(folder, running.cloud_url)
    gateway = {"id": "gateway", "url": proxy.url, "models": [MODEL], "api_key_file": str(folder / "key")}
    running.settings = {"peers": [gateway]}
    try:
        proxy.launch()
        anyio.run(proxy.wait_ready)
        running.start_all()
        yield running, proxy
    finally:
        running.stop_all()
        proxy.kill()


@pytest.fixture
async def client(deployment: tuple[Deployment, Proxy]) -> AsyncIterator[VlmClient]:
    async with connected(deployment[1].url, KEY) as connection:
        yield connection


@asynccontextmanager
async def connected(url: str, key: str | None) -> AsyncIterator[VlmClient]:
    connection = VlmClient(url, api_key=key)
    try:
        yield connection
    finally:
        await connection.aclose()


async def question(client: VlmClient, model: str = MODEL, seed: int = 0, **fields: Any) -> Completion:
    image, text = jpeg(seed)
    return await client.complete(text, image, model=model, max_tokens=8, timeout_s=60, **fields)


async def through_agent(deployment: Deployment, seed: int, **fields: Any) -> Reply:
    image, text = jpeg(seed)
    name = f"q-{os.urandom(4).hex()}"
    query = Query(name, text, image, deadline_ms=60_000, client=name, **fields)
    reply = await ask(load_settings(deployment.folder / "agent.yaml"), query, timeout_s=90)
    assert reply.id == name
    return reply


async def test_models_and_readiness_are_found_without_our_endpoints(client: VlmClient) -> None:
    listed = [card.id for card in await client.models()]
    assert listed == [MODEL, "of-vllm", "refuses-logprobs", "drops-logprobs", "dead"]
    assert await client.ready()
    ping = await client.ping(payload_bytes=1000)
    assert ping.sent_bytes == 0


async def test_without_its_key_it_refuses_everything(deployment: tuple[Deployment, Proxy]) -> None:
    async with connected(deployment[1].url, None) as client:
        assert not await client.ready()
        with pytest.raises(VlmRefused) as refused:
            await question(client)
    assert refused.value.status == 401


async def test_an_answer_is_that_of_the_server_behind_it(
    deployment: tuple[Deployment, Proxy], client: VlmClient
) -> None:
    async with connected(deployment[0].cloud_url, None) as direct:
        for seed in range(8):
            got, expected = await question(client, seed=seed), await question(direct, seed=seed)
            assert got.text == expected.text
            assert got.confidence == expected.confidence
            assert got.compute_ms is not None, "the proxy passes on the time of the server"


@pytest.mark.parametrize("model", [MODEL, "of-vllm"])
async def test_choices_are_constrained(client: VlmClient, model: str) -> None:
    for seed in range(4):
        completion = await question(client, model, seed, choices=COLOURS)
        assert completion.text in COLOURS
        assert completion.choice_probabilities is not None
        assert set(completion.choice_probabilities) == set(COLOURS)


async def test_a_refused_schema_is_left_out(client: VlmClient) -> None:
    with_schema = await question(client, response_format=JSON_SCHEMA)
    assert with_schema.text == (await question(client)).text


@pytest.mark.parametrize("model", ["refuses-logprobs", "drops-logprobs"])
async def test_a_provider_without_logprobs_still_answers(client: VlmClient, model: str) -> None:
    expected = await question(client)
    for _ in range(4):
        completion = await question(client, model)
        assert completion.text == expected.text
        assert completion.confidence.tokens is None


async def test_an_unknown_model_is_refused(client: VlmClient) -> None:
    with pytest.raises(VlmRefused, match="other"):
        await question(client, "other")


async def test_dead_servers_behind_it_are_unavailable_and_not_busy(client: VlmClient) -> None:
    statuses = []
    for _ in range(16):
        with pytest.raises(VlmUnavailable) as raised:
            await question(client, "dead")
        statuses.append(raised.value.status)
    assert 429 in statuses, "the proxy no longer tries them"


async def test_the_agent_is_answered_through_it(deployment: tuple[Deployment, Proxy]) -> None:
    for seed in range(8):
        reply = await through_agent(deployment[0], seed, pin="cloud")
        assert isinstance(reply, Answer), reply
        assert (reply.tier, reply.model) == ("cloud", MODEL)
        assert reply.confidence is not None
    form = AnswerForm.from_fields({"answer": "choice", "choices": list(COLOURS)})
    reply = await through_agent(deployment[0], 0, pin="cloud", form=form)
    assert isinstance(reply, Answer)
    assert reply.value in COLOURS


async def until_the_cloud_answers(deployment: Deployment) -> None:
    async def answers() -> bool:
        reply = await through_agent(deployment, 0, pin="cloud")
        return isinstance(reply, Answer) and reply.tier == "cloud"

    await until_true(answers)


async def test_the_board_answers_while_the_server_behind_it_is_dead(
    deployment: tuple[Deployment, Proxy],
) -> None:
    rig = deployment[0]
    rig.kill("cloud")
    for seed in range(6):
        reply = await through_agent(rig, seed)
        assert isinstance(reply, Answer)
        assert reply.tier == "local"
    rig.start("cloud")
    rig.wait_ready("cloud")
    await until_the_cloud_answers(rig)


async def test_the_board_answers_while_the_proxy_is_dead(deployment: tuple[Deployment, Proxy]) -> None:
    rig, proxy = deployment
    proxy.kill()
    for seed in range(6):
        reply = await through_agent(rig, seed)
        assert isinstance(reply, Answer)
        assert reply.tier == "local"
    proxy.launch()
    await proxy.wait_ready()
    await until_the_cloud_answers(rig)
