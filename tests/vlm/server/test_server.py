"""A real server with real (tiny, random) models answers the real client over both kinds of socket."""

import json
from typing import Any

import aiohttp
import anyio
import pytest

from vlm import VlmBusy, VlmClient, VlmRefused
from vlm.timing import DEADLINE_HEADER
from vlm.worker import Abandoned

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
over_tcp = pytest.mark.parametrize("server_url", ["tcp_server"], indirect=True)


@pytest.mark.parametrize("server_url", ["unix_server", "tcp_server"], indirect=True)
async def test_an_answer_has_confidence_and_timing(client: VlmClient, jpeg: bytes) -> None:
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


async def test_one_server_serves_several_models(client: VlmClient, jpeg: bytes) -> None:
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


@over_tcp
async def test_a_ping_measures_the_link(client: VlmClient) -> None:
    assert await client.ready()
    ping = await client.ping()
    assert ping.server_ms is not None
    assert (ping.sent_bytes, 0 <= ping.server_ms < ping.rtt_ms) == (0, True)
    assert (await client.ping(payload_bytes=200_000)).sent_bytes == 200_000
    with pytest.raises(VlmRefused, match="too large"):
        await client.ping(payload_bytes=9 * 2**20)


async def test_a_response_follows_openais_schema(session: aiohttp.ClientSession, chat_body: Any) -> None:
    body = chat_body(max_tokens=3, logprobs=True, top_logprobs=2)
    async with session.post(CHAT, json=body) as response:
        completion = await response.json()
        assert response.headers["Server-Timing"].startswith("queue;dur=")
    (choice,) = completion["choices"]
    usage = completion["usage"]
    assert completion["object"] == "chat.completion"
    assert (choice["finish_reason"], choice["message"]["role"]) == ("length", "assistant")
    assert len(choice["logprobs"]["content"]) == usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3
    for token in choice["logprobs"]["content"]:
        best = token["top_logprobs"][0]
        assert all(token[key] == best[key] for key in ("token", "logprob", "bytes"))


async def test_a_stream_contains_the_same_text_in_pieces(
    session: aiohttp.ClientSession, chat_body: Any
) -> None:
    async with session.post(CHAT, json=chat_body(max_tokens=12)) as response:
        whole = (await response.json())["choices"][0]["message"]["content"]
    async with session.post(CHAT, json=chat_body(max_tokens=12, stream=True)) as response:
        assert response.content_type == "text/event-stream"
        events = (await response.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    *pieces, last = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces).strip() == whole
    assert len(pieces) > 1
    assert (last["choices"][0]["finish_reason"], last["usage"]["completion_tokens"]) == ("length", 12)


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found", "available: llava, smolvlm"),
        ({"model": None}, 404, "model_not_found", "the request names no model"),
        ({"logit_bias": {"50256": -100}}, 400, "invalid_request", "logit_bias is not supported"),
        ({"n": 2}, 400, "invalid_request", "n must be 1"),
        (
            {"response_format": {"type": "json_object"}},
            400,
            "invalid_request",
            "json_object is not supported",
        ),
        ({"stream": True, "logprobs": True}, 400, "no_stream", "request one of them"),
        ({"stream": True, "model": "gpt-9"}, 404, "model_not_found", "available: llava"),
        ({"messages": []}, 400, "invalid_request", "messages must be a list"),
    ],
)
async def test_an_error_follows_openais_schema(
    session: aiohttp.ClientSession,
    chat_body: Any,
    fields: dict[str, Any],
    status: int,
    code: str,
    message: str,
) -> None:
    async with session.post(CHAT, json=chat_body(**fields)) as response:
        assert response.status == status
        error = (await response.json())["error"]
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert message in error["message"]


@over_tcp
async def test_an_invalid_http_request_is_refused_with_json(
    session: aiohttp.ClientSession, chat_body: Any
) -> None:
    bad_deadline = {"json": chat_body(), "headers": {DEADLINE_HEADER: "soon"}}
    for method, path, options, status, code in (
        ("POST", CHAT, {"data": b"{"}, 400, "invalid_json"),
        ("POST", CHAT, {"data": b" " * (33 * 2**20)}, 413, "request_entity_too_large"),
        ("GET", CHAT, {}, 405, "method_not_allowed"),
        ("GET", "/elsewhere", {}, 404, "not_found"),
        ("POST", CHAT, bad_deadline, 400, "invalid_deadline"),
    ):
        async with session.request(method, path, **options) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (status, code)


async def test_an_answer_ends_at_the_limit_of_its_model(client: VlmClient, jpeg: bytes) -> None:
    limits = {card.id: card.max_tokens for card in await client.models()}
    assert limits == {"llava": 1500, "smolvlm": 24}
    answer = await client.complete("what?", jpeg, model="smolvlm", max_tokens=1500, timeout_s=30)
    assert answer.completion_tokens == 24


async def test_max_tokens_over_a_limit_is_reduced_with_a_note(
    session: aiohttp.ClientSession, chat_body: Any
) -> None:
    notes = []
    for model, max_tokens in (("llava", 3000), ("smolvlm", 3000), ("smolvlm", 24)):
        body = chat_body(model=model, max_tokens=max_tokens, guided_choice=["red", "blue"])
        async with session.post(CHAT, json=body) as response:
            assert response.status == 200
            notes.append((await response.json()).get("inarvl"))
    assert notes == [
        {"notes": ["max_tokens was reduced from 3000 to 1500, the limit here"]},
        {"notes": ["max_tokens was reduced from 3000 to 24, the limit here"]},
        None,
    ]


async def test_a_choice_has_probabilities_also_in_a_stream(
    session: aiohttp.ClientSession, client: VlmClient, jpeg: bytes, chat_body: Any
) -> None:
    choices = ["yes", "no", "not sure"]
    answer = await client.complete(
        "what?", jpeg, model="llava", max_tokens=20, timeout_s=30, system="be brief", choices=choices
    )
    assert answer.text in choices
    assert answer.choice_probabilities is not None
    assert list(answer.choice_probabilities) == choices
    assert sum(answer.choice_probabilities.values()) == pytest.approx(1)
    assert answer.text == max(choices, key=answer.choice_probabilities.__getitem__)
    schema = {"type": "object", "properties": {"red": {"type": "boolean"}}, "required": ["red"]}
    for fields, possible in (
        ({"structured_outputs": {"choice": choices}}, choices),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
            ['{"red": true}', '{"red": false}'],
        ),
    ):
        async with session.post(CHAT, json=chat_body(stream=True, **fields)) as response:
            events = (await response.text()).split("\n\n")
        first, last = [json.loads(event.removeprefix("data: ")) for event in events[:2]]
        assert first["choices"][0]["delta"]["content"] in possible
        assert list(last["choices"][0]["inarvl"]["choice_probabilities"]) == possible
        assert last["choices"][0]["finish_reason"] == "stop"


async def test_a_model_has_an_endpoint(session: aiohttp.ClientSession) -> None:
    async with session.get("/v1/models") as response:
        cards = (await response.json())["data"]
    for card in cards:
        async with session.get(f"/v1/models/{card['id']}") as response:
            assert await response.json() == card
    async with session.get("/v1/models/owner/name") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "model_not_found")


@over_tcp
async def test_a_request_need_not_name_the_only_model(session: aiohttp.ClientSession, chat_body: Any) -> None:
    async with session.post(CHAT, json=chat_body(max_tokens=1, model=None)) as response:
        assert (await response.json())["model"] == "llava"


async def test_a_damaged_image_is_refused_and_the_server_continues(client: VlmClient, jpeg: bytes) -> None:
    with pytest.raises(VlmRefused) as refused:
        await client.complete("what?", jpeg[:-200], model="llava", max_tokens=2, timeout_s=30)
    assert refused.value.reason == "image_undecodable"
    assert (await client.complete("what?", jpeg, model="llava", max_tokens=2, timeout_s=30)).text


async def test_a_full_queue_is_busy(
    client: VlmClient, jpeg: bytes, paused_model: Any, metrics: Any, metric_is: Any
) -> None:
    answers = []

    async def ask() -> None:
        answers.append(await client.complete("?", jpeg, model="llava", max_tokens=2, timeout_s=30))

    async with anyio.create_task_group() as callers:
        callers.start_soon(ask)
        await paused_model.started()
        callers.start_soon(ask)
        await metric_is("inarvl_vlm_queue_length", 1)
        with pytest.raises(VlmBusy) as busy:
            await client.complete("?", jpeg, model="llava", max_tokens=2, timeout_s=30)
        assert busy.value.retry_after_s == 1
        paused_model.resume()
    assert len(answers) == 2
    assert (await metrics())['inarvl_vlm_requests_total{model="llava",outcome="busy"}'] == 1


async def test_a_request_that_waited_past_its_deadline_is_dropped(
    session: aiohttp.ClientSession, chat_body: Any, paused_model: Any, metric_is: Any
) -> None:
    async def ask() -> None:
        async with session.post(CHAT, json=chat_body(max_tokens=1)) as response:
            assert response.status == 200

    async def ask_late() -> None:
        headers = {DEADLINE_HEADER: "1"}
        async with session.post(CHAT, json=chat_body(max_tokens=1), headers=headers) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (504, "deadline_passed")

    async with anyio.create_task_group() as callers:
        callers.start_soon(ask)
        await paused_model.started()
        callers.start_soon(ask_late)
        await metric_is("inarvl_vlm_queue_length", 1)
        await anyio.sleep(0.01)
        paused_model.resume()
    assert paused_model.endings == ["length"]


async def test_a_disconnect_stops_the_generation(
    client: VlmClient, jpeg: bytes, paused_model: Any, metrics: Any, metric_is: Any
) -> None:
    before = await metrics()

    async def ask() -> None:
        await client.complete("?", jpeg, model="llava", max_tokens=1500, timeout_s=60)

    async with anyio.create_task_group() as callers:
        callers.start_soon(ask)
        await paused_model.started()
        callers.cancel_scope.cancel()
    disconnected = 'inarvl_vlm_requests_total{model="llava",outcome="hung_up"}'
    await metric_is(disconnected, before.get(disconnected, 0) + 1)
    paused_model.resume()
    await paused_model.ended()
    assert paused_model.endings == [Abandoned.__name__]


async def test_a_disconnect_stops_a_streamed_generation(
    session: aiohttp.ClientSession, chat_body: Any, paused_model: Any
) -> None:
    paused_model.resume()
    async with session.post(CHAT, json=chat_body(max_tokens=1500, stream=True)) as response:
        assert (await response.content.readline()).startswith(b"data: ")
        response.close()
    await paused_model.ended()
    assert paused_model.endings == [Abandoned.__name__]


@over_tcp
async def test_metrics_count_outcomes_tokens_and_seconds(
    client: VlmClient, jpeg: bytes, metrics: Any
) -> None:
    before = await metrics()
    await client.complete("what?", jpeg, model="llava", max_tokens=3, timeout_s=30)
    with pytest.raises(VlmRefused):
        await client.complete("what?", b"no image", model="llava", max_tokens=3, timeout_s=30)
    after = await metrics()

    def increase(name: str) -> float:
        return float(after[name] - before.get(name, 0))

    assert increase('inarvl_vlm_requests_total{model="llava",outcome="ok"}') == 1
    assert increase('inarvl_vlm_requests_total{model="none",outcome="image_undecodable"}') == 1
    assert increase('inarvl_vlm_tokens_total{kind="completion",model="llava"}') == 3
    assert increase('inarvl_vlm_compute_seconds_count{model="llava"}') == 1
    assert 0 < increase('inarvl_vlm_compute_seconds_sum{model="llava"}') < 30
    assert after["process_resident_memory_bytes"] > 10e6
