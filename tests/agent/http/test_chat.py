"""A question over HTTP goes through the queue with everybody's rules, and every outcome has its response."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.http.errors import HttpError
from agent.http.waiting_bytes import WaitingBytes
from agent.messages.reply import MAX_MESSAGE
from http_rig import HttpRig, answer_to, chat, refusal

pytestmark = pytest.mark.anyio
TOKEN = "a-token-of-the-test"
JSON_FORM = {"type": "json_object"}


async def until(condition: Any) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 # what it waits for has no event
            await anyio.sleep(0.01)


async def test_an_answer_has_openai_s_schema_and_says_who_gave_it(rig: HttpRig) -> None:
    status, body, headers = await rig.post(chat())
    query = rig.asked[0].query
    assert status == 200
    assert body["object"] == "chat.completion"
    assert body["model"] == "cloud/big"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "two"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["inarvl"] == {
        "id": query.id,
        "tier": "cloud",
        "model": "big",
        "confidence": 0.75,
        "latency_ms": 12.5,
        "energy_j": 1.5,
        "energy_source": "measured",
        "decision_id": "d" * 32,
        "reason": "cloud: better",
    }
    assert {name: value for name, value in headers.items() if name.startswith("X-Inarvl")} == {
        "X-Inarvl-Tier": "cloud",
        "X-Inarvl-Model": "big",
        "X-Inarvl-Confidence": "0.75",
        "X-Inarvl-Latency-Ms": "12.5",
        "X-Inarvl-Energy-J": "1.5",
        "X-Inarvl-Energy-Source": "measured",
        "X-Inarvl-Decision-Id": "d" * 32,
        "X-Inarvl-Reason": "cloud: better",
    }
    assert "Access-Control-Allow-Origin" not in headers


async def test_an_answer_has_its_cost(rig: HttpRig) -> None:
    rig.answer = lambda request: answer_to(request, cost=0.25, currency="EUR", cost_source="counted")
    _, body, headers = await rig.post(chat())
    assert (body["inarvl"]["cost"], headers["X-Inarvl-Cost"]) == (0.25, "0.25")
    assert (headers["X-Inarvl-Currency"], headers["X-Inarvl-Cost-Source"]) == ("EUR", "counted")


async def test_a_stream_has_the_answer_its_end_and_done(rig: HttpRig) -> None:
    async with (
        rig.client() as session,
        session.post("/v1/chat/completions", json=chat(stream=True)) as response,
    ):
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Inarvl-Tier"] == "cloud"
        events = [event.removeprefix(b"data: ") for event in (await response.read()).split(b"\n\n") if event]
    first, last = map(json.loads, events[:2])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "two"}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["inarvl"]["decision_id"] == "d" * 32
    assert events[2] == b"[DONE]"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("bad_image", 400),
        ("too_large", 413),
        ("local_only", 403),
        ("cloud_calls_spent", 403),
        ("busy", 429),
        ("internal", 500),
        ("no_arm", 503),
        ("unanswered", 503),
        ("deadline_expired", 504),
    ],
)
async def test_each_refusal_has_a_status_also_in_a_stream(
    rig: HttpRig, code: str, status: int, stream: bool
) -> None:
    rig.answer = refusal(code)
    found, body, headers = await rig.post(chat(stream=stream))
    assert found == status
    assert body["error"]["code"] == code
    assert body["error"]["message"] == "why, and what to do"
    assert ("Retry-After" in headers) == (status == 429)


async def test_text_of_models_and_servers_breaks_no_header(rig: HttpRig) -> None:
    rig.answer = lambda request: answer_to(request, "zwei\r\nÄpfel", warning="a\r\nSet-Cookie: b=1\x00é" * 99)
    status, body, headers = await rig.post(chat())
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "zwei\r\nÄpfel"
    assert "Set-Cookie" not in headers
    assert headers["X-Inarvl-Warning"].isascii()


@pytest.mark.parametrize(
    ("text", "value", "content", "refused"),
    [
        ('Sure: ```json\n{"a": 1}\n```', {"a": 1}, '{"a": 1}', False),
        ('{"answer": {"a": 1}}', {"a": 1}, '{"a": 1}', False),
        ("unknown", None, "unknown", True),
    ],
)
async def test_json_is_only_json(rig: HttpRig, text: str, value: Any, content: str, refused: bool) -> None:
    rig.answer = lambda request: answer_to(request, text, value=value)
    _, body, _ = await rig.post(chat(response_format=JSON_FORM))
    message = body["choices"][0]["message"]
    assert message["content"] == content
    assert ("refusal" in message) == refused


async def test_a_question_without_an_image_is_answered_with_a_warning(rig: HttpRig) -> None:
    status, body, _ = await rig.post(chat({"type": "text", "text": "Hi"}))
    assert status == 200
    assert "no image" in body["inarvl"]["warning"]


async def test_a_caller_that_hangs_up_withdraws_its_waiting_question(tmp_path: Path) -> None:
    async with HttpRig(tmp_path).serving(working=False) as rig:
        asking = asyncio.ensure_future(rig.post(chat()))
        await until(lambda: len(rig.queue) == 1)
        asking.cancel()
        await until(lambda: len(rig.queue) == 0)
        rig.working.set()
        assert (await rig.post(chat()))[0] == 200
        assert len(rig.asked) == 1


async def test_a_full_queue_is_refused_with_the_time_to_try_again(tmp_path: Path) -> None:
    async with HttpRig(tmp_path, max_waiting=1).serving(working=False) as rig:
        rig.queue.idle = 0
        asking = [asyncio.ensure_future(rig.post(chat())) for _ in range(3)]
        await until(lambda: sum(one.done() for one in asking) == 2)
        for refused in (one for one in asking if one.done()):
            status, body, headers = refused.result()
            assert (status, body["error"]["code"]) == (429, "busy")
            assert int(headers["Retry-After"]) >= 1
        rig.working.set()
        assert sorted([(await one)[0] for one in asking]) == [200, 429, 429]


async def test_the_limits_of_a_client_apply(tmp_path: Path) -> None:
    async with HttpRig(tmp_path, clients={"http": {"per_minute": 4, "burst": 1}}).serving() as rig:
        assert (await rig.post(chat()))[0] == 200
        status, _, headers = await rig.post(chat())
        assert (status, headers["Retry-After"]) == (429, "15")
        assert [type(reply).__name__ for reply in rig.replies] == ["Answer", "Refusal"]


async def test_the_deadline_of_the_site_file_applies_if_the_caller_states_none(tmp_path: Path) -> None:
    async with HttpRig(tmp_path, intake={"default_deadline_ms": 5000}).serving() as rig:
        await rig.post(chat())
        await rig.post(chat(), **{"X-Inarvl-Deadline-Ms": "2000"})
        allowed = [request.expires_at - request.arrived_at for request in rig.asked]
        assert allowed == pytest.approx([5.0, 2.0])
        assert all(0 < request.reserve_s < 1 for request in rig.asked)


async def test_a_body_over_the_limit_is_413_whether_it_states_its_length_or_not(tmp_path: Path) -> None:
    async with HttpRig(tmp_path, intake={"max_payload_bytes": 2000}).serving() as rig:
        body = json.dumps(chat({"type": "text", "text": "x" * 3000})).encode()

        async def pieces() -> Any:
            for place in range(0, len(body), 100):
                yield body[place : place + 100]

        assert (await rig.error(body))[:2] == (413, "too_large")
        async with rig.client() as session, session.post("/v1/chat/completions", data=pieces()) as response:
            assert response.status == 413
            assert (await response.json())["error"]["code"] == "too_large"


async def test_a_compressed_body_counts_with_its_real_size(tmp_path: Path) -> None:
    async with (
        HttpRig(tmp_path, intake={"max_payload_bytes": 20_000}).serving() as rig,
        rig.client() as session,
    ):
        body = gzip.compress(b'{"messages": "' + b"x" * 10_000_000)
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        async with session.post("/v1/chat/completions", data=body, headers=headers) as response:
            assert response.status in (400, 413)


async def test_a_fault_of_the_agent_is_an_error_and_harms_no_other(
    rig: HttpRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(rig.intake, "admit", lambda *_, **__: 1 / 0)
        status, code, _, message = await rig.error(chat())
    assert (status, code) == (500, "internal")
    assert "division" not in message
    assert "ZeroDivisionError" in caplog.text
    assert rig.door.faults == 1
    assert (await rig.post(chat()))[0] == 200


async def test_an_error_message_is_short(rig: HttpRig) -> None:
    status, _, _, message = await rig.error(chat(model="x" * 5000))
    assert status == 404
    assert len(message) <= MAX_MESSAGE


async def test_each_token_is_a_client_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"camera-1:{TOKEN}-1\n{TOKEN}-2\n")
    async with HttpRig(tmp_path, http={"token_file": str(tmp_path / "tokens")}).serving() as rig:
        for token, client in ((f"{TOKEN}-1", "camera-1"), (f"{TOKEN}-2", "http")):
            assert (await rig.post(chat(), token=token))[0] == 200
            request = rig.asked[-1]
            assert (request.query.client, request.verified) == (client, True)
            assert request.party == f"client {client}"
        for token in (None, "wrong", TOKEN):
            status, body, _ = await rig.post(chat(), token=token)
            assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert len(rig.asked) == 2


async def test_a_stopping_agent_answers_what_waits_and_refuses_the_rest(tmp_path: Path) -> None:
    async with HttpRig(tmp_path).serving(working=False) as rig:
        asking = asyncio.ensure_future(rig.post(chat()))
        await until(lambda: len(rig.queue) == 1)
        rig.chat.stop()
        assert (await rig.error(chat()))[:2] == (503, "not_ready")
        rig.working.set()
        assert (await asking)[0] == 200


def test_one_client_has_at_most_half_of_the_memory_and_of_the_requests() -> None:
    waiting = WaitingBytes(max_bytes=100, max_requests=4)
    with waiting.of("a", 30), waiting.of("a", 20):
        for size in (1, 30):
            with pytest.raises(HttpError, match="wait already"), waiting.of("a", size):
                pass
        with waiting.of("b", 50), pytest.raises(HttpError), waiting.of("c", 1):
            pass
    with waiting.of("a", 90):
        pass
    assert not waiting._requests
    assert not waiting._bytes
