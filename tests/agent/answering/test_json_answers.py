"""An arm whose answer is not valid JSON of the query's schema is asked once more, then the next arm."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from aiohttp import web

from agent.answering.answering import Answering
from agent.answering.arms import Arms
from agent.answering.hedging import Unanswered
from agent.answering.question import QuestionReader
from agent.config.settings import Settings
from agent.forms.form import AnswerForm
from agent.messages.query import Query
from agent.peers.access import Access
from agent.peers.network_path import Paths
from agent.peers.registry import CheckSchedule, PeerRegistry
from cloud.peer import PeerRecord
from controller import Controller, ControllerSettings, DeviceState
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.scenes.render import render
from lab.scenes.scene import draw

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
SETTINGS = Settings.model_validate({"device": "d"})
CARS = AnswerForm(
    "json", (), {"type": "object", "properties": {"cars": {"type": "integer"}}, "required": ["cars"]}
)
VALID, PROSE = '{"cars": 2}', "There are two cars."


@dataclass
class Scripted:
    """A server whose answers are given; the last one is repeated.

    Attributes:
        requests: the bodies of the requests so far.
    """

    answers: tuple[str, ...]
    models: tuple[str, ...] = ("m",)
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def chat(self, request: web.Request) -> web.Response:
        self.requests.append(await request.json())
        text = self.answers[min(len(self.requests), len(self.answers)) - 1]
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": text}}]})

    @property
    def prompts(self) -> list[str]:
        return [request["messages"][-1]["content"][-1]["text"] for request in self.requests]

    @asynccontextmanager
    async def at(self, socket: Path) -> AsyncIterator[None]:
        async def models(_request: web.Request) -> web.Response:
            return web.json_response({"data": [{"id": name} for name in self.models]})

        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", self.chat), web.get("/v1/models", models)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
def answering(tmp_path: Path) -> Callable[..., Any]:
    """An `Answering` with a scripted server on each tier; None for a tier without."""

    @asynccontextmanager
    async def run(
        board: Scripted | None,
        cloud: Scripted | None,
        prompt: Callable[[str, str], str | None] = lambda _tier, _server: None,
    ) -> AsyncIterator[Answering]:
        rng = np.random.default_rng(3)
        schedule = CheckSchedule(check_s=3600.0, first_retry_s=0.05)
        peers = {tier: PeerRegistry(rng=rng, schedule=schedule) for tier in ("local", "cloud")}
        async with anyio.create_task_group() as tasks:
            for tier, server in (("local", board), ("cloud", cloud)):
                if server is not None:
                    await tasks.start(serve, server, tmp_path / tier)
                    peers[tier].offer(
                        PeerRecord(tier, f"unix:{tmp_path / tier}"), source="test", access=Access()
                    )
                tasks.start_soon(peers[tier].run)
            with anyio.fail_after(60):
                while not all(peer.healthy for tier in peers.values() for peer in tier.known()):  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            controller = Controller(ControllerSettings(), rng=rng)
            servers = SimpleNamespace(
                registry=peers.__getitem__, paths=Paths(), prompt=prompt, vouched=lambda *_: False
            )
            arms = Arms(servers, FixedEnergyMeter(), lambda _tier, _card: (64,))
            yield Answering(controller, arms, DeviceState, SETTINGS, rng=rng)
            tasks.cancel_scope.cancel()

    async def serve(server: Scripted, socket: Path, *, task_status: Any) -> None:
        async with server.at(socket):
            task_status.started()
            await anyio.sleep_forever()

    return run


async def ask(answering: Answering, form: AnswerForm = CARS, **fields: Any) -> Any:
    file = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(file, "JPEG")
    query = Query("q", "How many cars?", file.getvalue(), form=form, **fields)
    question = QuestionReader(lambda: (64,), SETTINGS).read(query)
    return await answering.answer(question, expires_at=anyio.current_time() + 60.0)


async def test_an_invalid_answer_is_asked_for_once_more_with_the_reason(answering: Any) -> None:
    board = Scripted((PROSE, VALID))
    async with answering(board, None) as asked:
        answered = await ask(asked)
    assert answered.attempt.text == VALID
    assert [attempt.execution.failure for attempt in answered.attempts] == ["invalid_answer", None]
    assert answered.energy_j == 2.0, "the energy of both is counted"
    assert "rejected" not in board.prompts[0]
    assert board.prompts[1].endswith("An earlier answer was rejected: the answer is not JSON.")


async def test_after_two_invalid_answers_the_next_arm_is_asked(answering: Any) -> None:
    cloud = Scripted(('{"cars": "two"}', PROSE, VALID), models=("m", "n"))
    async with answering(None, cloud) as asked:
        answered = await ask(asked)
    assert answered.attempt.text == VALID
    assert [attempt.execution.failure for attempt in answered.attempts] == ["invalid_answer"] * 2 + [None]
    first, second, third = [attempt.execution.arm.model for attempt in answered.attempts]
    assert first == second != third


async def test_if_every_answer_is_invalid_the_error_has_the_reason_of_each(answering: Any) -> None:
    cloud = Scripted((PROSE, PROSE, "[1]"), models=("m", "n"))
    async with answering(None, cloud) as asked:
        with pytest.raises(Unanswered) as raised:
            await ask(asked)
    assert raised.value.code == "unanswered"
    assert "the answer is not JSON;" in str(raised.value)
    assert 'at $ it does not follow the schema\'s rule type: "object"' in str(raised.value)
    assert len(cloud.requests) == 4
    assert not raised.value.may_pass


async def test_invalid_answers_are_repeated_only_for_a_share_of_the_questions(answering: Any) -> None:
    board = Scripted((PROSE,))
    async with answering(board, None) as asked:
        for _ in range(30):
            with pytest.raises(Unanswered):
                await ask(asked)
    assert 30 + 8 <= len(board.requests) <= 30 + 8 + 3


async def test_an_unknown_answer_is_valid(answering: Any) -> None:
    board = Scripted(("unknown",))
    async with answering(board, None) as asked:
        answered = await ask(asked)
    assert (answered.attempt.text, len(answered.attempts)) == ("unknown", 1)


@pytest.mark.parametrize(
    ("tier", "kind", "sent"),
    [
        ("local", "json", True),
        ("cloud", "json", True),
        ("local", "number", False),
        ("cloud", "number", True),
        ("cloud", "short", True),
        ("cloud", "yes_no", False),
        ("cloud", "text", False),
        ("cloud", "auto", False),
    ],
)
async def test_a_response_format_is_sent_for_json_and_to_the_cloud_for_numbers_and_words(
    answering: Any, tier: str, kind: Any, sent: bool
) -> None:
    server = Scripted(('{"answer": 2}',))
    async with answering(*((server, None) if tier == "local" else (None, server))) as asked:
        answered = await ask(asked, AnswerForm(kind))
    assert ("response_format" in server.requests[0]) == sent
    assert answered.attempt.text == ("2" if kind in ("number", "short", "yes_no") else '{"answer": 2}')


async def test_half_a_surrogate_pair_in_an_answer_is_replaced(answering: Any) -> None:
    server = Scripted(('{"answer": "a \\ud800 caf\\u00e9"}',))
    async with answering(None, server) as asked:
        answered = await ask(asked, AnswerForm("short"))
    assert answered.attempt.text == "a \ufffd caf\u00e9"


async def test_no_json_is_requested_around_an_answer_that_has_no_room_for_it(answering: Any) -> None:
    server = Scripted(("2",))
    async with answering(None, server) as asked:
        await ask(asked, AnswerForm("number"), max_tokens=4)
    assert "response_format" not in server.requests[0]


async def test_the_prompt_of_a_server_is_its_system_text(answering: Any) -> None:
    server = Scripted(("2",))
    async with answering(None, server, lambda tier, peer: f"You are {peer} in the {tier}.") as asked:
        await ask(asked, AnswerForm("number"))
    system = server.requests[0]["messages"][0]
    assert system == {"role": "system", "content": "You are cloud in the cloud."}
