"""What questions cost is counted, and the cloud is not asked beyond a cap."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from agent.answering.answering import Answered, Answering
from agent.answering.arms import Arms
from agent.answering.cameras import Cameras
from agent.answering.cloud_calls import CloudCalls
from agent.answering.question import QuestionReader
from agent.answering.workers import answer_of
from agent.config.settings import Settings
from agent.intake.request import Request
from agent.messages.query import Query
from agent.messages.reply import Answer
from agent.peers.directory import ServerDirectory
from agent.profile.loading import load_profile
from agent.spending.cost import Cost
from agent.spending.price_list import PriceList
from agent.spending.spend import Spend, SpendCapReached
from agent.spending.spend_meter import MeteredCall, SpendMeter
from agent.standalone.broker import free_port
from controller import Context, Controller, ControllerSettings, Decision, DeviceState, Execution, FollowUp
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.rig.mock_model_server import MockAnswer, MockModelServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
PRICED = {"m": {"input_per_million": 1000.0, "output_per_million": 5000.0, "per_call": 0.01}}
CALL = 0.01 + 200 * 0.001 + 3 * 0.005


class ReportsTokens(MockModelServer):
    """A server that reports 200 tokens of each prompt and 3 of each answer."""

    def _completion(self, answer: MockAnswer) -> dict[str, object]:
        usage = {"prompt_tokens": 200, "completion_tokens": 3, "total_tokens": 203}
        return {**super()._completion(answer), "usage": usage}


class ReportsNone(MockModelServer):
    """A server that reports no tokens."""

    def _completion(self, answer: MockAnswer) -> dict[str, object]:
        completion = super()._completion(answer)
        del completion["usage"]
        return completion


class Fails(MockModelServer):
    """A server that is out of order."""

    async def _chat(self, _request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "out of order"}}, status=500)


class CloudFirst(Controller):
    """Asks the cloud first where it is not blocked."""

    def decide(self, context: Context, *, now: float) -> Decision:
        decision = super().decide(context, now=now)
        clouds = [option for option in context.options if option.arm.tier == "cloud"]
        able = [option.arm for option in clouds if option.blocked is None and context.pin != "local"]
        return replace(decision, arm=able[0]) if able else decision


class Audits(Controller):
    """Asks the board first, and audits every answer."""

    def decide(self, context: Context, *, now: float) -> Decision:
        decision = super().decide(context, now=now)
        local = next(option.arm for option in context.options if option.arm.tier == "local")
        return replace(decision, arm=local)

    def escalate(self, decision: Decision, execution: Execution, *, now: float) -> FollowUp:
        clouds = [arm for arm in decision.basis.candidates.roster.arms if arm.tier == "cloud"]
        return FollowUp("audit", clouds[0])


@dataclass
class Rig:
    answering: Answering
    reader: QuestionReader
    spend: Spend
    calls: list[MeteredCall]

    async def ask(self, client: str = "gate", **fields: Any) -> Answered:
        query = Query("q", "what?", picture(), client=client, **fields)
        question = self.reader.read(query, verified=True)
        answered = await self.answering.answer(question, expires_at=anyio.current_time() + 20.0)
        self.reply = reply(answered)
        await self.answering.finish(answered)
        return answered


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (300, 250), "red").save(file, "JPEG")
    return file.getvalue()


def reply(answered: Answered) -> Answer:
    request: Any = Request("k", answered.question.query, None, 0.0, 1.0)  # type: ignore[arg-type]
    return answer_of(request, answered, decision_id="0" * 32, now=0.5)


@asynccontextmanager
async def rig(
    folder: Path,
    controller: type[Controller] = CloudFirst,
    cloud: type[MockModelServer] = ReportsTokens,
    *,
    prices: dict[str, Any] = PRICED,
    cameras: dict[str, Any] | None = None,
    **spend: Any,
) -> AsyncIterator[Rig]:
    rng, port, calls = np.random.default_rng(0), free_port(), list[MeteredCall]()
    runners = [web.AppRunner(kind("m", 1.0, 0.0, 8, rng).app()) for kind in (MockModelServer, cloud)]
    for runner in runners:
        await runner.setup()
    await web.UnixSite(runners[0], f"{folder}/board").start()
    await web.TCPSite(runners[1], "127.0.0.1", port).start()
    site = {
        "device": "d",
        "local": f"unix:{folder}/board",
        "peers": [{"id": "peer", "url": f"http://127.0.0.1:{port}", "prices": prices}],
        "discovery": {"zeroconf": False, "mqtt": False},
        "probing": {"sight": False},
        "intake": {"max_tokens": 10},
        "cameras": cameras or {},
        "spend": {"currency": "EUR", **spend},
    }
    settings = Settings.model_validate(site)
    servers = ServerDirectory(settings, load_profile("generic-x86"), rng=rng, changed=lambda *_: None)
    money = Spend(settings.spend, lambda _content: None)
    meter = SpendMeter(PriceList(settings, servers.claimed_prices), money)
    meter.ended = calls.append
    policies = Cameras(settings.cameras, CloudCalls(lambda _content: None))
    arms = Arms(servers, FixedEnergyMeter(), lambda *_: (0,), cameras=policies, meter=meter)
    answering = Answering(controller(ControllerSettings(), rng=rng), arms, DeviceState, settings, rng=rng)
    async with anyio.create_task_group() as tasks:
        servers.apply(settings)
        tasks.start_soon(servers.run)
        with anyio.fail_after(60):
            while not arms.settled():  # noqa: ASYNC110
                await anyio.sleep(0.02)
        yield Rig(answering, QuestionReader(arms.resolutions, settings, policies), money, calls)
        tasks.cancel_scope.cancel()
    for runner in runners:
        await runner.cleanup()


async def test_a_reply_has_the_cost_of_the_tokens_that_the_server_reports(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        await running.ask()
        cost = (running.reply.cost, running.reply.currency, running.reply.cost_source)
        assert cost == (pytest.approx(CALL), "EUR", "counted")
        assert running.spend.report().today == pytest.approx(CALL)


async def test_without_reported_tokens_the_cost_is_estimated(tmp_path: Path) -> None:
    async with rig(tmp_path, cloud=ReportsNone) as running:
        await running.ask()
        estimated = 0.01 + (2 + 100) * 0.001 + 1 * 0.005  # "what?", 300 x 250 pixels, "yes"
        assert (running.reply.cost, running.reply.cost_source) == (pytest.approx(estimated), "estimated")


async def test_an_answer_of_the_board_costs_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        await running.ask(pin="local")
        assert (running.reply.cost, running.reply.cost_source) == (0.0, "counted")


async def test_without_prices_a_reply_has_no_cost(tmp_path: Path) -> None:
    async with rig(tmp_path, prices={}, per_day=0.0) as running:
        for pin in ("cloud", "local"):
            await running.ask(pin=pin)
            assert (running.reply.tier, running.reply.cost, running.reply.currency) == (pin, None, None)


async def test_a_refused_call_costs_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, cloud=Fails) as running:
        await running.ask()
        assert (running.reply.tier, running.reply.cost) == ("local", 0.0)
        assert [call.failure for call in running.calls] == ["vlm_unavailable", None]


async def test_an_audit_counts_for_the_day_but_not_for_the_reply(tmp_path: Path) -> None:
    async with rig(tmp_path, Audits) as running:
        answered = await running.ask()
        assert running.reply.cost == 0.0
        assert answered.cost == Cost(pytest.approx(CALL), "EUR", "counted")
        assert running.spend.report().purposes["audit"] == pytest.approx(CALL)


@pytest.mark.parametrize(
    ("limits", "spender"),
    [({"per_day": 1.0}, "the board"), ({"cameras": {"gate": {"spend_per_day": 1.0}}}, "camera gate")],
)
async def test_beyond_a_cap_only_the_board_answers(
    limits: dict[str, Any], spender: str, tmp_path: Path
) -> None:
    async with rig(tmp_path, **limits) as running:
        await running.ask()  # from now on the length of its prompts is known
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(running.ask)
        for _ in range(4):
            answered = await running.ask()
        assert 0.5 < running.spend.report().today <= 1.0
        assert answered.attempt.execution.arm.tier == "local"
        assert f"{spender} has spent" in answered.reason
        assert "are not asked until 00:00 local time" in answered.reason
        with pytest.raises(SpendCapReached, match=f"{spender} has spent"):
            await running.ask(pin="cloud")
        running.answering.mode = "cloud"
        assert (await running.ask()).attempt.execution.arm.tier == "local"
        running.answering.mode = "auto"
        other = (await running.ask("yard")).attempt.execution.arm.tier
        assert other == ("local" if spender == "the board" else "cloud")


async def test_an_audit_is_not_made_beyond_a_cap(tmp_path: Path) -> None:
    async with rig(tmp_path, Audits, per_day=0.5) as running:
        for _ in range(5):
            await running.ask()
        assert 0.0 < running.spend.report().today <= 0.5
        assert [call.call.tier for call in running.calls].count("cloud") < 3
