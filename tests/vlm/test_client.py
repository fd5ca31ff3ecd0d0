"""The client against servers that are not ours, and against none at all."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from vlm.client import Confidence, ModelCard, VlmClient
from vlm.errors import VlmBusy, VlmError, VlmRefused, VlmTimeout, VlmUnavailable
from vlm.timing import Timing

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANSWER: dict[str, Any] = {"model": "foreign", "choices": [{"message": {"content": "red"}}]}


@asynccontextmanager
async def foreign(chat: Handler, models: object = None) -> AsyncIterator[VlmClient]:
    """A client of an OpenAI-compatible server with chat completions and a model list, and nothing else."""

    async def list_models(_request: web.Request) -> web.Response:
        return web.json_response(models or {"data": [{"id": "foreign", "max_model_len": 4096}]})

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", list_models)])
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        client = VlmClient(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        try:
            yield client
        finally:
            await client.aclose()
    finally:
        await runner.cleanup()


async def ask(client: VlmClient, **options: Any) -> Any:
    return await client.complete(
        "what?", b"\xff\xd8", **{"model": "m", "max_tokens": 4, "timeout_s": 10, **options}
    )


def always(status: int, body: object, **headers: str) -> Handler:
    async def chat(_request: web.Request) -> web.Response:
        return web.Response(
            status=status, text=body if isinstance(body, str) else json.dumps(body), headers=headers
        )

    return chat


async def test_the_question_goes_out_as_openai_has_it() -> None:
    seen: list[dict[str, Any]] = []

    async def chat(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append({**json.loads(body), "bytes": len(body)})
        return web.json_response(ANSWER)

    async with foreign(chat) as client:
        answer = await ask(client)
    (request,) = seen
    image, text = request["messages"][0]["content"]
    assert image["image_url"]["url"] == "data:image/jpeg;base64,/9g="
    assert text == {"type": "text", "text": "what?"}
    assert (request["logprobs"], request["top_logprobs"], request["max_tokens"]) == (True, 2, 4)
    assert (answer.text, answer.model, answer.request_bytes) == ("red", "foreign", request["bytes"])


async def test_what_a_foreign_server_does_not_tell_is_none() -> None:
    async with foreign(always(200, ANSWER)) as client:
        answer = await ask(client)
        assert (answer.queue_ms, answer.compute_ms, answer.completion_tokens) == (None, None, None)
        assert answer.confidence == Confidence(None, None, None)
        assert await client.models() == [ModelCard("foreign", (), None, None, None)]


async def test_a_server_that_refuses_logprobs_is_asked_without_from_then_on() -> None:
    asked = []

    async def chat(request: web.Request) -> web.Response:
        asked.append("logprobs" in await request.json())
        if asked[-1]:
            return web.json_response({"error": {"message": "logprobs are not supported"}}, status=400)
        return web.json_response(ANSWER)

    async with foreign(chat) as client:
        assert (await ask(client)).text == "red"
        assert (await ask(client)).text == "red"
    assert asked == [True, False, False]


async def test_without_our_probes_a_ping_lists_models_and_uploads_nothing() -> None:
    async with foreign(always(200, ANSWER)) as client:
        ping = await client.ping(payload_bytes=1000)
        assert ping.rtt_ms > 0
        assert (ping.server_ms, ping.sent_bytes) == (None, 0)
        assert await client.ready()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (always(400, {"error": {"message": "bad image", "code": "x"}}), VlmRefused, "bad image"),
        (always(404, {"detail": "no such model"}), VlmRefused, "no such model"),
        (always(429, {"error": {"message": "slow down"}}), VlmBusy, "slow down"),
        (always(503, {"error": {"message": "full", "code": "busy"}}), VlmBusy, "full"),
        (always(503, "loading"), VlmUnavailable, "loading"),
        (always(500, "<html>oh</html>"), VlmUnavailable, "oh"),
        (always(302, "", Location="http://elsewhere/"), VlmUnavailable, ""),
        (always(504, {"error": {"message": "late"}}), VlmTimeout, "late"),
        (always(200, "hello"), VlmError, "JSON object"),
        (always(200, {"choices": []}), VlmError, "without a choice"),
        (always(200, " " * (8 * 2**20 + 1)), VlmError, "answers with more than"),
    ],
)
async def test_every_failure_has_its_error(reply: Handler, error: type[VlmError], words: str) -> None:
    async with foreign(reply) as client:
        with pytest.raises(VlmError) as failed:
            await ask(client)
    assert type(failed.value) is error
    assert words in str(failed.value)


async def test_busy_says_when_to_come_back() -> None:
    async with foreign(always(429, "", **{"Retry-After": "3"})) as client:
        with pytest.raises(VlmBusy) as busy:
            await ask(client)
    assert busy.value.retry_after_s == 3


async def test_a_silent_server_times_out_and_is_hung_up_on() -> None:
    hung_up = anyio.Event()

    async def chat(_request: web.Request) -> web.Response:
        try:
            await anyio.sleep_forever()
        finally:
            hung_up.set()
        raise AssertionError

    async with foreign(chat) as client:
        with pytest.raises(VlmTimeout):
            await ask(client, timeout_s=0.05)
        with anyio.fail_after(10):
            await hung_up.wait()


async def test_a_connection_that_breaks_is_unavailable() -> None:
    async def chat(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async with foreign(chat) as client:
        with pytest.raises(VlmUnavailable):
            await ask(client)


async def test_nobody_there_is_unavailable_and_not_ready(tmp_path: Path) -> None:
    client = VlmClient(f"unix:{tmp_path}/no.sock")
    with pytest.raises(VlmUnavailable, match=r"cannot reach unix:.*no\.sock"):
        await client.models()
    assert not await client.ready()
    await client.aclose()


async def test_no_time_left_is_a_timeout_without_asking() -> None:
    with pytest.raises(VlmTimeout):
        await ask(VlmClient("http://127.0.0.1:9"), timeout_s=0)


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(VlmError, match="write unix:/path"):
        VlmClient("localhost:8010")


def test_the_margin_is_of_the_first_token_that_is_not_blank() -> None:
    def token(text: str, *logprobs: float) -> dict[str, Any]:
        return {
            "token": text,
            "logprob": logprobs[0],
            "top_logprobs": [{"token": "?", "logprob": logprob} for logprob in logprobs],
        }

    logprobs = {"content": [token(" ", -0.1, -3), token("yes", -0.5, -1.5), token("!", -0.3, -2)]}
    confidence = Confidence.from_logprobs(logprobs)
    assert confidence.first_token_margin == pytest.approx(0.6065 - 0.2231, abs=1e-4)
    assert confidence.mean_logprob == pytest.approx(-0.3)
    assert confidence.tokens == 3


@pytest.mark.parametrize(
    "logprobs", [None, [], {"content": None}, {"content": [{}]}, {"content": [{"logprob": float("nan")}]}]
)
def test_misshapen_logprobs_tell_nothing(logprobs: object) -> None:
    assert Confidence.from_logprobs(logprobs) == Confidence()


def test_a_margin_needs_two_alternatives() -> None:
    one = {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"logprob": -1}]}]}
    assert Confidence.from_logprobs(one) == Confidence(None, -1, 1)


@pytest.mark.parametrize(
    ("header", "timing"),
    [
        (None, Timing()),
        ("queue;dur=1.5, compute;dur=20", Timing(1.5, 20)),
        ('cache;desc="hit", compute;desc=x;dur="3"', Timing(None, 3)),
        ("queue;dur=soon, compute;dur=-1, ;;", Timing()),
    ],
)
def test_server_timing_is_read_with_tolerance(header: str | None, timing: Timing) -> None:
    assert Timing.from_header(header) == timing


def test_server_timing_round_trips() -> None:
    timing = Timing(1.25, 3.5)
    assert Timing.from_header(timing.to_header()) == timing


def test_a_card_round_trips() -> None:
    card = ModelCard("m", (64, 96), 32, "nf4", 900_000)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_a_misshapen_card_tells_only_its_name() -> None:
    told = {"resolutions": ["big", -1, True], "max_tokens": "9", "quantization": 4, "parameters": 0}
    assert ModelCard.from_json({"id": "m", "inarvl": told}) == ModelCard("m")
