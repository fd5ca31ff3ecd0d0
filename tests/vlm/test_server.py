"""A real server with real (tiny, random) models, asked by the real client over both kinds of socket."""

import base64
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
from anyio import to_thread

from vlm.client import VlmClient
from vlm.errors import VlmBusy, VlmRefused
from vlm.model import Answer, Ask, VisionModel
from vlm.server import ServerInfo
from vlm.timing import DEADLINE_HEADER
from vlm.worker import Abandoned

pytestmark = pytest.mark.anyio

Running = Callable[..., AbstractContextManager[ServerInfo]]


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[VlmClient]:
    client = VlmClient(url)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def session_of(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A bare HTTP session, for what our client would never send."""
    path = url.removeprefix("unix:")
    connector = aiohttp.UnixConnector(path) if path != url else None
    async with aiohttp.ClientSession("http://vlm" if connector else url, connector=connector) as session:
        yield session


async def metrics(session: aiohttp.ClientSession) -> dict[str, float]:
    async with session.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def request(jpeg: bytes, **fields: Any) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what?"}]
    return {"model": "llava", "messages": [{"role": "user", "content": content}], **fields}


class Blocked:
    """Stands in the way of the model until it is opened, and notes how each generation ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.started = threading.Event()
        self.opened = threading.Event()
        self.ended = threading.Event()
        self.endings: list[str] = []
        real = VisionModel.generate

        def generate(model: VisionModel, *args: Any, **options: Any) -> Answer:
            self.started.set()
            assert self.opened.wait(30)
            try:
                answer = real(model, *args, **options)
                self.endings.append(answer.finish_reason)
                return answer
            except BaseException as error:
                self.endings.append(type(error).__name__)
                raise
            finally:
                self.ended.set()

        patch.setattr(VisionModel, "generate", generate)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocked]:
    blocked = Blocked(monkeypatch)
    yield blocked
    blocked.opened.set()


async def happened(event: threading.Event) -> None:
    assert await to_thread.run_sync(event.wait, 30)


async def metric_is(session: aiohttp.ClientSession, name: str, value: float) -> None:
    """Wait until the server counts as much."""
    with anyio.fail_after(30):
        while (await metrics(session)).get(name, 0) != value:  # noqa: ASYNC110 - the server runs elsewhere
            await anyio.sleep(0.005)


@pytest.mark.parametrize("where", ["unix_server", "tcp_server"])
async def test_an_answer_comes_with_confidence_and_timing(
    where: str, request: pytest.FixtureRequest, jpeg: bytes
) -> None:
    async with client_of(request.getfixturevalue(where)) as client:
        answer = await client.complete("what?", jpeg, model="llava", max_tokens=5, timeout_s=30)
    assert (answer.model, answer.completion_tokens, answer.confidence.tokens) == ("llava", 5, 5)
    assert answer.confidence.first_token_margin is not None
    assert 0 <= answer.confidence.first_token_margin <= 1
    assert answer.confidence.mean_logprob is not None
    assert answer.confidence.mean_logprob < 0
    assert answer.queue_ms is not None
    assert answer.compute_ms is not None
    assert 0 < answer.queue_ms + answer.compute_ms < answer.latency_ms
    assert answer.request_bytes > len(jpeg) * 4 / 3


async def test_several_models_are_told_apart(unix_server: str, jpeg: bytes) -> None:
    async with client_of(unix_server) as client:
        cards = await client.models()
        assert [(card.id, card.resolutions, card.max_tokens) for card in cards] == [
            ("llava", (32, 64), 1500),
            ("smolvlm", (32, 64, 128), 24),
        ]
        texts = [
            (await client.complete("what?", jpeg, model=card.id, max_tokens=8, timeout_s=30)).text
            for card in cards
        ]
    assert texts[0] != texts[1]


async def test_the_link_can_be_probed(tcp_server: str) -> None:
    async with client_of(tcp_server) as client:
        assert await client.ready()
        ping = await client.ping()
        assert ping.server_ms is not None
        assert (ping.sent_bytes, 0 <= ping.server_ms < ping.rtt_ms) == (0, True)
        assert (await client.ping(payload_bytes=200_000)).sent_bytes == 200_000
        with pytest.raises(VlmRefused, match="too large"):
            await client.ping(payload_bytes=9 * 2**20)


async def test_the_reply_has_the_openai_shape(unix_server: str, jpeg: bytes) -> None:
    async with session_of(unix_server) as session:
        body = request(jpeg, max_tokens=3, logprobs=True, top_logprobs=2)
        async with session.post("/v1/chat/completions", json=body) as response:
            reply = await response.json()
            assert response.headers["Server-Timing"].startswith("queue;dur=")
    (choice,) = reply["choices"]
    usage = reply["usage"]
    assert reply["object"] == "chat.completion"
    assert (choice["finish_reason"], choice["message"]["role"]) == ("length", "assistant")
    assert len(choice["logprobs"]["content"]) == usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3
    for step in choice["logprobs"]["content"]:
        assert [step[key] for key in ("token", "logprob", "bytes")] == [
            step["top_logprobs"][0][key] for key in ("token", "logprob", "bytes")
        ]


async def test_a_stream_gives_the_same_text_in_pieces(unix_server: str, jpeg: bytes) -> None:
    async with session_of(unix_server) as session:
        async with session.post("/v1/chat/completions", json=request(jpeg, max_tokens=12)) as response:
            whole = (await response.json())["choices"][0]["message"]["content"]
        async with session.post(
            "/v1/chat/completions", json=request(jpeg, max_tokens=12, stream=True)
        ) as response:
            assert response.content_type == "text/event-stream"
            events = (await response.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    *pieces, last = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces).strip() == whole
    assert len(pieces) > 1
    assert (last["choices"][0]["finish_reason"], last["usage"]["completion_tokens"]) == ("length", 12)


@pytest.mark.parametrize(
    ("fields", "status", "code", "words"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found", "there is llava, smolvlm"),
        ({"model": None}, 404, "model_not_found", "name a model"),
        ({"max_tokens": 1501}, 400, "too_many_tokens", "gives at most 1500"),
        ({"stream": True, "logprobs": True}, 400, "no_stream", "ask for one of them"),
        ({"stream": True, "model": "gpt-9"}, 404, "model_not_found", "there is llava"),
        ({"messages": []}, 400, "invalid_request", "messages must be a list"),
    ],
)
async def test_a_refusal_has_the_openai_shape(
    unix_server: str, jpeg: bytes, fields: dict[str, Any], status: int, code: str, words: str
) -> None:
    async with session_of(unix_server) as session:
        async with session.post("/v1/chat/completions", json=request(jpeg, **fields)) as response:
            assert response.status == status
            error = (await response.json())["error"]
        assert (error["code"], error["type"]) == (code, "invalid_request_error")
        assert words in error["message"]


async def test_what_is_not_even_a_request_is_refused_in_json(tcp_server: str, jpeg: bytes) -> None:
    async with session_of(tcp_server) as session:
        for method, path, options, status, code in (
            ("POST", "/v1/chat/completions", {"data": b"{"}, 400, "invalid_json"),
            ("POST", "/v1/chat/completions", {"data": b" " * (33 * 2**20)}, 413, "request_entity_too_large"),
            ("GET", "/v1/chat/completions", {}, 405, "method_not_allowed"),
            ("GET", "/elsewhere", {}, 404, "not_found"),
            (
                "POST",
                "/v1/chat/completions",
                {"json": request(jpeg), "headers": {DEADLINE_HEADER: "soon"}},
                400,
                "invalid_deadline",
            ),
        ):
            async with session.request(method, path, **options) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (status, code)


async def test_a_model_with_a_limit_of_its_own_stops_there(unix_server: str, jpeg: bytes) -> None:
    async with client_of(unix_server) as client:
        limits = {card.id: card.max_tokens for card in await client.models()}
        assert limits == {"llava": 1500, "smolvlm": 24}
        answer = await client.complete("what?", jpeg, model="smolvlm", max_tokens=1500, timeout_s=30)
    assert answer.completion_tokens == 24


async def test_one_model_need_not_be_named(tcp_server: str, jpeg: bytes) -> None:
    async with session_of(tcp_server) as session:
        body = request(jpeg, max_tokens=1, model=None)
        async with session.post("/v1/chat/completions", json=body) as response:
            assert (await response.json())["model"] == "llava"


async def test_a_damaged_image_is_refused_and_the_server_goes_on(unix_server: str, jpeg: bytes) -> None:
    async with client_of(unix_server) as client:
        with pytest.raises(VlmRefused) as refused:
            await client.complete("what?", jpeg[:-200], model="llava", max_tokens=2, timeout_s=30)
        assert refused.value.reason == "image_undecodable"
        assert (await client.complete("what?", jpeg, model="llava", max_tokens=2, timeout_s=30)).text


async def test_a_full_queue_is_busy(unix_server: str, jpeg: bytes, blocked: Blocked) -> None:
    async with client_of(unix_server) as client, session_of(unix_server) as session:
        answers = []

        async def ask() -> None:
            answers.append(await client.complete("?", jpeg, model="llava", max_tokens=2, timeout_s=30))

        async with anyio.create_task_group() as callers:
            callers.start_soon(ask)
            await happened(blocked.started)
            callers.start_soon(ask)
            await metric_is(session, "inarvl_vlm_queue_length", 1)
            with pytest.raises(VlmBusy) as busy:
                await client.complete("?", jpeg, model="llava", max_tokens=2, timeout_s=30)
            assert busy.value.retry_after_s == 1
            blocked.opened.set()
        assert len(answers) == 2
        assert (await metrics(session))['inarvl_vlm_requests_total{model="llava",outcome="busy"}'] == 1


async def test_a_request_that_waited_past_its_deadline_is_dropped(
    unix_server: str, jpeg: bytes, blocked: Blocked
) -> None:
    async with session_of(unix_server) as session:

        async def ask() -> None:
            async with session.post("/v1/chat/completions", json=request(jpeg, max_tokens=1)) as response:
                assert response.status == 200

        async def ask_late() -> None:
            late = {DEADLINE_HEADER: "1"}
            body = request(jpeg, max_tokens=1)
            async with session.post("/v1/chat/completions", json=body, headers=late) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (504, "deadline_passed")

        async with anyio.create_task_group() as callers:
            callers.start_soon(ask)
            await happened(blocked.started)
            callers.start_soon(ask_late)
            await metric_is(session, "inarvl_vlm_queue_length", 1)
            await anyio.sleep(0.01)
            blocked.opened.set()
    assert blocked.endings == ["length"]


async def test_hanging_up_stops_the_generation(unix_server: str, jpeg: bytes, blocked: Blocked) -> None:
    async with client_of(unix_server) as client, session_of(unix_server) as session:
        before = await metrics(session)
        async with anyio.create_task_group() as callers:

            async def ask() -> None:
                await client.complete("?", jpeg, model="llava", max_tokens=1500, timeout_s=60)

            callers.start_soon(ask)
            await happened(blocked.started)
            callers.cancel_scope.cancel()
        hung_up = 'inarvl_vlm_requests_total{model="llava",outcome="hung_up"}'
        await metric_is(session, hung_up, before.get(hung_up, 0) + 1)
        blocked.opened.set()
        await happened(blocked.ended)
    assert blocked.endings == [Abandoned.__name__]


async def test_hanging_up_on_a_stream_stops_the_generation(
    unix_server: str, jpeg: bytes, blocked: Blocked
) -> None:
    blocked.opened.set()
    async with session_of(unix_server) as session:
        body = request(jpeg, max_tokens=1500, stream=True)
        async with session.post("/v1/chat/completions", json=body) as response:
            assert (await response.content.readline()).startswith(b"data: ")
            response.close()
    await happened(blocked.ended)
    assert blocked.endings == [Abandoned.__name__]


@pytest.fixture(scope="module")
def batching_server(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server that answers up to three requests at once."""
    path = tmp_path_factory.mktemp("batching") / "vlm.sock"
    with running(f"unix:{path}", batch=3, batch_wait_s=0.005, max_tokens=1500):
        yield f"unix:{path}"


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests the model was given at once, each time."""
    sizes: list[int] = []
    real = VisionModel.generate_together

    def counted(model: VisionModel, asks: Sequence[Ask]) -> list[Answer | Exception]:
        sizes.append(len(asks))
        return real(model, asks)

    monkeypatch.setattr(VisionModel, "generate_together", counted)
    return sizes


async def test_requests_that_wait_are_answered_together(
    batching_server: str, jpeg: bytes, blocked: Blocked, batches: list[int]
) -> None:
    """One hangs up while it waits, and is none of them."""
    questions = ("?", "how many?", "how many of them are there?", "is it red?")
    texts: dict[str, str] = {}
    async with client_of(batching_server) as client, session_of(batching_server) as session:

        async def ask(question: str) -> None:
            answer = await client.complete(question, jpeg, model="llava", max_tokens=4, timeout_s=60)
            texts[question] = answer.text

        async with anyio.create_task_group() as callers:
            callers.start_soon(ask, questions[0])
            await happened(blocked.started)
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(ask, "never mind")
                await metric_is(session, "inarvl_vlm_queue_length", 1)
                for question in questions[1:]:
                    callers.start_soon(ask, question)
                await metric_is(session, "inarvl_vlm_queue_length", 4)
                impatient.cancel_scope.cancel()
            await metric_is(session, "inarvl_vlm_queue_length", 3)
            blocked.opened.set()
        assert batches == [1, 3]
        assert (await metrics(session))['inarvl_vlm_batch_size_bucket{le="2.0"}'] == 1
        together = dict(texts)
        for question in questions:
            await ask(question)
        assert texts == together
    assert sorted(texts) == sorted(questions)


async def test_one_bad_request_among_those_answered_together_fails_alone(
    batching_server: str, jpeg: bytes, blocked: Blocked, batches: list[int]
) -> None:
    """Its question does not fit the model, which only the model knows."""
    fellows, bad = ("?", "how many?", "is it red?"), "how many of them " * 1000
    texts: dict[str, str] = {}
    refused: list[VlmRefused] = []
    async with client_of(batching_server) as client, session_of(batching_server) as session:

        async def ask(question: str) -> None:
            try:
                answer = await client.complete(question, jpeg, model="llava", max_tokens=4, timeout_s=60)
                texts[question] = answer.text
            except VlmRefused as error:
                assert question == bad
                refused.append(error)

        async with anyio.create_task_group() as callers:
            callers.start_soon(ask, fellows[0])
            await happened(blocked.started)
            for question in (fellows[1], bad, fellows[2]):
                callers.start_soon(ask, question)
            await metric_is(session, "inarvl_vlm_queue_length", 3)
            blocked.opened.set()
        assert batches[:2] == [1, 3], "they were tried together"
        assert [(error.status, error.code) for error in refused] == [(400, "vlm_refused")]
        beside_a_bad_one = dict(texts)
        for question in fellows:
            await ask(question)
    assert texts == beside_a_bad_one
    assert sorted(texts) == sorted(fellows)


async def test_metrics_count_by_outcome_in_base_units(tcp_server: str, jpeg: bytes) -> None:
    async with client_of(tcp_server) as client, session_of(tcp_server) as session:
        before = await metrics(session)
        await client.complete("what?", jpeg, model="llava", max_tokens=3, timeout_s=30)
        with pytest.raises(VlmRefused):
            await client.complete("what?", b"no image", model="llava", max_tokens=3, timeout_s=30)
        after = await metrics(session)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('inarvl_vlm_requests_total{model="llava",outcome="ok"}') == 1
    assert grown('inarvl_vlm_requests_total{model="none",outcome="image_undecodable"}') == 1
    assert grown('inarvl_vlm_tokens_total{kind="completion",model="llava"}') == 3
    assert grown('inarvl_vlm_compute_seconds_count{model="llava"}') == 1
    assert 0 < grown('inarvl_vlm_compute_seconds_sum{model="llava"}') < 30
    assert after["process_resident_memory_bytes"] > 10e6
