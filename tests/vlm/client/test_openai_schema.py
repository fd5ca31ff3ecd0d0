"""Requests and replies in OpenAI's schema, and one error for each kind of failure."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from vlm import Confidence, ModelCard, VlmBusy, VlmError, VlmRefused, VlmTimeout, VlmUnavailable

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANSWER: dict[str, Any] = {"model": "other", "choices": [{"message": {"content": "red"}}]}


def always(status: int, body: object, **headers: str) -> Handler:
    """A handler that returns the same response every time."""

    async def chat(_request: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers=headers)

    return chat


async def test_the_request_follows_openais_schema(other_server: Any, ask: Any) -> None:
    seen: list[dict[str, Any]] = []

    async def chat(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append({**json.loads(body), "bytes": len(body)})
        return web.json_response(ANSWER)

    async with other_server(chat) as client:
        answer = await ask(client)
    (request,) = seen
    image, text = request["messages"][0]["content"]
    assert image["image_url"]["url"] == "data:image/jpeg;base64,/9g="
    assert text == {"type": "text", "text": "what?"}
    assert (request["logprobs"], request["top_logprobs"], request["max_tokens"]) == (True, 2, 4)
    assert (answer.text, answer.model, answer.request_bytes) == ("red", "other", request["bytes"])


async def test_a_value_missing_from_the_reply_is_none(other_server: Any, ask: Any) -> None:
    async with other_server(always(200, ANSWER)) as client:
        answer = await ask(client)
        assert (answer.queue_ms, answer.compute_ms, answer.completion_tokens) == (None, None, None)
        assert answer.confidence == Confidence(None, None, None)
        assert await client.models() == [ModelCard("other", (), None, None, None)]


async def test_after_a_server_refused_logprobs_it_is_not_asked_for_them_again(
    other_server: Any, ask: Any
) -> None:
    with_logprobs = []

    async def chat(request: web.Request) -> web.Response:
        with_logprobs.append("logprobs" in await request.json())
        if with_logprobs[-1]:
            return web.json_response({"error": {"message": "logprobs are not supported"}}, status=400)
        return web.json_response(ANSWER)

    async with other_server(chat) as client:
        assert (await ask(client)).text == "red"
        assert (await ask(client)).text == "red"
    assert with_logprobs == [True, False, False]


async def test_without_probe_endpoints_a_ping_lists_models_and_uploads_nothing(other_server: Any) -> None:
    async with other_server(always(200, ANSWER)) as client:
        ping = await client.ping(payload_bytes=1000)
        assert ping.rtt_ms > 0
        assert (ping.server_ms, ping.sent_bytes) == (None, 0)
        assert await client.ready()


@pytest.mark.parametrize(
    ("reply", "error", "message"),
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
        (always(200, {"choices": []}), VlmError, "contains no choice"),
        (always(200, " " * (8 * 2**20 + 1)), VlmError, "is longer than"),
    ],
)
async def test_each_failure_raises_its_error(
    other_server: Any, ask: Any, reply: Handler, error: type[VlmError], message: str
) -> None:
    async with other_server(reply) as client:
        with pytest.raises(VlmError) as raised:
            await ask(client)
    assert type(raised.value) is error
    assert message in str(raised.value)


async def test_busy_has_the_retry_after_of_the_server(other_server: Any, ask: Any) -> None:
    async with other_server(always(429, "", **{"Retry-After": "3"})) as client:
        with pytest.raises(VlmBusy) as busy:
            await ask(client)
    assert busy.value.retry_after_s == 3


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"choices":' * 30_000,
        '{"choices": [{"message": ' + "[" * 50_000,
        "1" * 5000,
        "NaN",
        '"x"',
    ],
)
async def test_a_reply_that_is_nested_too_deeply_or_no_object_is_an_error(
    other_server: Any, ask: Any, body: str
) -> None:
    async with other_server(always(200, body)) as client:
        with pytest.raises(VlmError, match="no JSON object"):
            await ask(client)


async def test_a_deeply_nested_value_that_is_not_needed_is_ignored(other_server: Any, ask: Any) -> None:
    deep = "[" * 900 + "]" * 900
    body = f'{{"choices": [{{"message": {{"content": "red"}}, "logprobs": {deep}}}], "model": {deep}}}'
    async with other_server(always(200, body)) as client:
        completion = await ask(client)
    assert (completion.text, completion.model) == ("red", "m")
