"""What the real `openai` client makes of answers, structured answers and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from agent.intake.request import Request
from agent.messages.reply import Reply
from agent.standalone.broker import free_port
from http_rig import HttpRig, answer_to, chat, refusal

pytestmark = pytest.mark.anyio
MESSAGES: Any = chat()["messages"]


class Street(BaseModel):
    """The form of an answer."""

    cars: int


@pytest.fixture
async def tcp_rig(tmp_path: Path) -> AsyncIterator[HttpRig]:
    async with HttpRig(tmp_path, http={"listen": f"127.0.0.1:{free_port()}"}).serving() as rig:
        yield rig


@pytest.fixture
async def client(tcp_rig: HttpRig) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"http://{tcp_rig.http.listen}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=1) as client:
        yield client


def in_turn(*answers: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    remaining = list(answers)

    def answer(request: Request) -> Reply:
        return remaining.pop(0)(request)

    return answer


async def test_a_structured_answer_is_parsed(tcp_rig: HttpRig, client: openai.AsyncOpenAI) -> None:
    tcp_rig.answer = lambda request: answer_to(request, '```json\n{"cars": 2}\n```', value={"cars": 2})
    parsed = await client.chat.completions.parse(
        model="inarvl-auto", messages=MESSAGES, response_format=Street
    )
    assert parsed.choices[0].message.parsed == Street(cars=2)
    form = tcp_rig.asked[0].query.form
    assert form.kind == "json"
    assert form.schema is not None
    assert form.schema["required"] == ["cars"]


async def test_an_unknown_structured_answer_is_a_refusal(
    tcp_rig: HttpRig, client: openai.AsyncOpenAI
) -> None:
    tcp_rig.answer = lambda request: answer_to(request, "unknown", value=None)
    parsed = await client.chat.completions.parse(
        model="inarvl-auto", messages=MESSAGES, response_format=Street
    )
    assert parsed.choices[0].message.parsed is None
    assert parsed.choices[0].message.refusal


async def test_the_client_asks_again_if_the_agent_is_busy(
    tcp_rig: HttpRig, client: openai.AsyncOpenAI
) -> None:
    tcp_rig.answer = in_turn(refusal("busy"), answer_to)
    completion = await client.chat.completions.create(model="inarvl-auto", messages=MESSAGES)
    assert completion.choices[0].message.content == "two"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("bad_image", openai.BadRequestError),
        ("local_only", openai.PermissionDeniedError),
        ("busy", openai.RateLimitError),
        ("no_arm", openai.InternalServerError),
        ("deadline_expired", openai.InternalServerError),
    ],
)
async def test_each_error_has_its_type(
    tcp_rig: HttpRig, client: openai.AsyncOpenAI, code: str, kind: type[openai.APIStatusError]
) -> None:
    tcp_rig.answer = refusal(code)
    with pytest.raises(kind, match="why, and what to do") as raised:
        await client.with_options(max_retries=0).chat.completions.create(
            model="inarvl-auto", messages=MESSAGES
        )
    assert raised.value.code == code


@pytest.mark.parametrize(("timeout", "deadline_ms"), [(openai.NOT_GIVEN, None), (7.5, 7500.0)])
async def test_the_timeout_of_the_caller_is_the_deadline(
    tcp_rig: HttpRig, client: openai.AsyncOpenAI, timeout: Any, deadline_ms: float | None
) -> None:
    await client.chat.completions.create(model="inarvl-auto", messages=MESSAGES, timeout=timeout)
    assert tcp_rig.asked[0].query.deadline_ms == deadline_ms
