"""One case for each difference between OpenAI-compatible servers, against a scripted stand-in."""

import json
from typing import Any

import pytest

from dialect_cases import CASES, GRAMMAR, Case, Fields, always, openai, refuses, reply
from vlm import VlmClient, VlmError, VlmRefused

pytestmark = pytest.mark.anyio


def sent(request: Fields, name: str) -> object:
    value: Any = request
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else value[int(key)]
    return value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_difference_is_handled_and_remembered(serving: Any, case: Case) -> None:
    chats: list[Fields] = []

    async def ask(client: VlmClient) -> str:
        completion = await client.complete(
            "what?",
            b"\xff\xd8",
            model="m",
            max_tokens=4,
            timeout_s=10,
            system="be brief",
            choices=("red", "blue"),
            response_format={"type": "json_object"},
            grammar=GRAMMAR,
        )
        return completion.text

    async with serving(case, chats) as client:
        assert await client.ready()
        assert "m" in [card.id for card in await client.models()]
        ping = await client.ping(payload_bytes=100)
        assert (ping.rtt_ms > 0, ping.sent_bytes) == (True, 0)
        for _ in range(2):
            if case.failure is None:
                assert await ask(client) == "red"
            else:
                with pytest.raises(VlmRefused) as raised:
                    await ask(client)
                assert (raised.value.code, raised.value.reason or "") == ("vlm_refused", case.failure[0])
                assert case.failure[1] in str(raised.value)
    assert len(chats) == case.calls
    assert {name: sent(chats[-1], name) for name in case.sent} == case.sent
    everything = json.dumps(chats[-1]["messages"])
    assert "be brief" in everything
    assert "what?" in everything


async def test_after_three_answers_without_logprobs_none_are_requested(serving: Any) -> None:
    chats: list[Fields] = []
    async with serving(Case(reply=always(reply())), chats) as client:
        for _ in range(5):
            await client.complete("what?", b"", model="m", max_tokens=4, timeout_s=10)
        await client.complete("what?", b"", model="other", max_tokens=4, timeout_s=10)
    assert ["logprobs" in chat for chat in chats] == [True, True, True, False, False, True]


async def test_a_response_format_may_be_refused_after_requests_without_it(serving: Any) -> None:
    chats: list[Fields] = []
    case = Case(refusals=(refuses("response_format", 400, openai("Unknown parameter in the request")),))
    async with serving(case, chats) as client:
        for format_ in (None, {"type": "json_object"}, {"type": "json_object"}):
            await client.complete(
                "what?", b"", model="m", max_tokens=4, timeout_s=10, response_format=format_
            )
    assert ["response_format" in chat for chat in chats] == [False, True, False, False]
    assert all("logprobs" in chat for chat in chats)


async def test_a_change_that_does_not_help_is_not_remembered(serving: Any) -> None:
    """The refusal quotes the question, which contains the name of a field."""
    chats: list[Fields] = []
    bad_image = refuses("model", 400, openai("cannot read the image of 'what temperature is it?'"))
    case = Case(refusals=(lambda fields: bad_image(fields) if len(chats) <= 2 else None,))
    async with serving(case, chats) as client:
        with pytest.raises(VlmRefused, match="cannot read"):
            await client.complete("what temperature is it?", b"", model="m", max_tokens=4, timeout_s=10)
        await client.complete("what?", b"", model="m", max_tokens=4, timeout_s=10)
    assert ["temperature" in chat for chat in chats] == [True, False, True]


async def test_without_a_model_list_and_configured_models_a_server_is_not_ready(serving: Any) -> None:
    async with serving(Case(models=None), []) as client:
        assert not await client.ready()
        with pytest.raises(VlmRefused, match="404"):
            await client.models()
        with pytest.raises(VlmError):
            await client.ping()


async def test_a_wrong_api_key_is_not_a_missing_model_list(serving: Any) -> None:
    case = Case(models=None, configured=("m",), unknown=(401, openai("wrong key")))
    async with serving(case, []) as client:
        assert not await client.ready()
