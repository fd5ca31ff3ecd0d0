"""Answers are in time: a late cloud is hedged by the board, the loser is cancelled, and retries are few."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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
from agent.answering.hedging import DeadlineExpired, Unanswered
from agent.answering.question import Question, QuestionReader
from agent.config.settings import Settings
from agent.messages.images import Decoder, PreparedImage, View
from agent.messages.query import BadQuery, Query
from agent.peers.access import Access
from agent.peers.network_path import Paths
from agent.peers.registry import CheckSchedule, PeerRegistry
from cloud.peer import PeerRecord
from controller import (
    Arm,
    Context,
    Controller,
    ControllerSettings,
    DeviceState,
    Execution,
    FollowUp,
    NoArm,
    Outcome,
    Policy,
    Prediction,
)
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.rig.mock_model_server import MockModelServer
from lab.scenes.render import render
from lab.scenes.scene import draw

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
NEVER_MS = 3.6e6
SETTINGS = Settings.model_validate({"device": "d", "intake": {"max_tokens": 4}})


@dataclass
class Server:
    """A simulated model server with a given latency.

    Attributes:
        hung_up: set when a caller closed its connection before the answer.
        received: how many questions have arrived.
    """

    ms: float
    socket: Path
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    received: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        standin = MockModelServer("m", self.ms, 0.0, 4, np.random.default_rng(0))

        @web.middleware
        async def watch(request: web.Request, handler: Any) -> Any:
            chat = request.path.endswith("completions")
            self.received += chat
            try:
                return await handler(request)
            except asyncio.CancelledError:
                self.hung_up.set()
                raise

        app = standin.app()
        app.middlewares.append(watch)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, str(self.socket)).start()
        try:
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def running_answering(
    edge: Server | None,
    cloud: Server | None,
    *,
    healthy: bool = True,
    naming_s: float = 0.0,
    check_s: float = 0.2,
    policy: Policy[Any] | None = None,
) -> AsyncIterator[tuple[Answering, dict[str, PeerRegistry]]]:
    """An `Answering` with a real controller and simulated servers.

    Args:
        healthy: waits until the servers are healthy.
    """
    rng = np.random.default_rng(3)
    schedule = CheckSchedule(check_s=check_s, first_retry_s=0.05, max_retry_s=0.2, naming_s=naming_s)
    tiers = {"local": edge, "cloud": cloud}
    peers = {tier: PeerRegistry(rng=rng, schedule=schedule) for tier in tiers}
    async with anyio.create_task_group() as tasks:
        for tier, server in tiers.items():
            tasks.start_soon(peers[tier].run)
            if server is not None:
                peers[tier].offer(PeerRecord(tier, f"unix:{server.socket}"), source="test", access=Access())
        with anyio.fail_after(60):
            while healthy and any(server and not peers[tier].healthy() for tier, server in tiers.items()):  # noqa: ASYNC110
                await anyio.sleep(0.02)
        controller = Controller(ControllerSettings(), rng=rng)
        servers = SimpleNamespace(
            registry=peers.__getitem__, paths=Paths(), prompt=lambda *_: None, vouched=lambda *_: False
        )
        arms = Arms(servers, FixedEnergyMeter(), lambda _tier, _card: (64,))
        yield Answering(policy or controller, arms, DeviceState, SETTINGS, rng=rng), peers
        tasks.cancel_scope.cancel()


def question(pin: Any = None) -> Question:
    file = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(file, "JPEG")
    return QuestionReader(lambda: (64,), SETTINGS).read(Query("q", "what?", file.getvalue(), pin=pin))


async def answer(answering: Answering, left_s: float, **options: Any) -> Any:
    return await answering.answer(question(**options), expires_at=asyncio.get_running_loop().time() + left_s)


async def test_the_board_answers_when_the_cloud_is_late_and_the_cloud_call_is_cancelled(
    tmp_path: Path,
) -> None:
    edge, cloud = Server(1.0, tmp_path / "e"), Server(NEVER_MS, tmp_path / "c")
    async with edge.running(), cloud.running(), running_answering(edge, cloud) as (answering, _):
        failures = set()
        for _ in range(6):
            answered = await answer(answering, 20.0)
            failures |= {run.execution.failure for run in answered.attempts}
            assert answered.attempt.execution.arm.tier == "local"
        assert cloud.received, "the cloud was tried"
        assert failures & {"late", "vlm_timeout"}
        with anyio.fail_after(30):
            await cloud.hung_up.wait()


async def test_a_server_that_is_always_late_is_no_longer_asked(tmp_path: Path) -> None:
    edge, cloud = Server(1.0, tmp_path / "e"), Server(NEVER_MS, tmp_path / "c")
    async with edge.running(), cloud.running(), running_answering(edge, cloud) as (answering, peers):
        for _ in range(12):
            await answer(answering, 20.0)
        (peer,) = peers["cloud"].known()
        assert peer.breaker.opened or not cloud.received
        assert cloud.received < 12


async def test_without_a_board_an_error_is_returned_before_the_deadline(tmp_path: Path) -> None:
    cloud = Server(NEVER_MS, tmp_path / "c")
    async with cloud.running(), running_answering(None, cloud) as (answering, _):
        with pytest.raises((Unanswered, DeadlineExpired)):
            await answer(answering, 2.0)  # enough to ask the cloud on a busy machine
        with anyio.fail_after(30):
            await cloud.hung_up.wait()


async def test_a_server_that_recovers_before_the_deadline_answers(tmp_path: Path) -> None:
    """No check is due before the question, so the stopped server still counts as healthy."""
    edge = Server(1.0, tmp_path / "e")
    async with AsyncExitStack() as server:
        await server.enter_async_context(edge.running())
        async with (
            running_answering(edge, None, check_s=3600.0) as (answering, peers),
            anyio.create_task_group() as tasks,
        ):
            await server.aclose()

            async def restart() -> None:
                while peers["local"].healthy():  # noqa: ASYNC110 # the failure has no event
                    await anyio.sleep(0.01)
                await server.enter_async_context(edge.running())

            tasks.start_soon(restart)
            answered = await answer(answering, 60.0)
    assert answered.attempt.execution.arm.tier == "local"


async def test_an_image_that_cannot_be_made_for_an_arm_is_no_failure_of_the_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_decoder: Decoder, _image: PreparedImage, _view: View) -> bytes:
        raise BadQuery("bad_image", "its pixels are damaged")

    monkeypatch.setattr(Decoder, "view", fails)
    edge = Server(1.0, tmp_path / "e")
    async with edge.running(), running_answering(edge, None) as (answering, _):
        with pytest.raises(BadQuery, match="damaged"):
            await answer(answering, 20.0)
    assert not edge.received


async def test_a_question_before_the_first_check_of_the_servers_waits_for_it(tmp_path: Path) -> None:
    edge = Server(1.0, tmp_path / "e")
    async with edge.running(), running_answering(edge, None, healthy=False) as (answering, peers):
        assert not peers["local"].settled()
        answered = await answer(answering, 60.0)
        assert peers["local"].settled()
    assert answered.attempt.execution.arm.tier == "local"


async def test_a_question_for_the_cloud_waits_for_discovery_after_a_start(tmp_path: Path) -> None:
    cloud = Server(1.0, tmp_path / "c")
    async with (
        cloud.running(),
        running_answering(None, None, naming_s=3600.0) as (answering, peers),
        anyio.create_task_group() as tasks,
    ):

        async def discover() -> None:
            await anyio.sleep(0.2)
            peers["cloud"].offer(PeerRecord("cloud", f"unix:{cloud.socket}"), source="test", access=Access())

        tasks.start_soon(discover)
        answered = await answer(answering, 60.0, pin="cloud")
    assert answered.attempt.execution.arm.tier == "cloud"


async def test_without_any_server_an_error_is_returned_at_once() -> None:
    async with running_answering(None, None) as (answering, _):
        with pytest.raises(NoArm, match="no model server"):
            await answer(answering, 3600.0)


async def test_a_question_for_the_board_does_not_wait_for_the_cloud(tmp_path: Path) -> None:
    async with running_answering(None, None, naming_s=3600.0) as (answering, peers):
        peers["local"]._settled = True
        with pytest.raises(NoArm):
            await answer(answering, 3600.0, pin="local")


async def test_when_all_checks_have_failed_an_error_is_returned_at_once(tmp_path: Path) -> None:
    async with running_answering(Server(1.0, tmp_path / "missing"), None, healthy=False) as (
        answering,
        peers,
    ):
        with pytest.raises(NoArm):
            await answer(answering, 3600.0)
        assert peers["local"].settled()


@dataclass(frozen=True)
class MinimalDecision:
    """The smallest valid decision."""

    id: str
    arm: Arm
    propensity: float = 1.0
    predictions: dict[str, Prediction] = field(default_factory=dict)
    risk: float | None = None
    reason: str = "first arm"


@dataclass
class FirstArm:
    """A minimal policy: asks the first arm, falls back to the others in order, and escalates everything."""

    outcomes: list[Outcome] = field(default_factory=list)
    arms: tuple[Arm, ...] = ()

    def decide(self, context: Context, *, now: float) -> MinimalDecision:
        self.arms = tuple(option.arm for option in context.options)
        if not self.arms:
            raise NoArm("there is no model server")
        return MinimalDecision("1", self.arms[0])

    def fallback(self, decision: MinimalDecision, failed: Execution, *, now: float) -> MinimalDecision | None:
        following = self.arms[self.arms.index(failed.arm) + 1 :]
        if not following:
            return None
        return MinimalDecision(decision.id, following[0], reason="the previous arm failed")

    def escalate(self, decision: MinimalDecision, execution: Execution, *, now: float) -> FollowUp:
        if execution.arm.tier == "cloud":
            return FollowUp("keep")
        return FollowUp("escalate", self.arms[-1], reason="always escalated")

    def learn(self, decision: MinimalDecision, outcome: Outcome, *, now: float) -> tuple[()]:
        self.outcomes.append(outcome)
        return ()

    def feedback(self, decision_id: str, correct: bool, *, now: float, weight: float = 1.0) -> bool:
        return False


async def test_any_policy_can_replace_the_controller(tmp_path: Path) -> None:
    edge, cloud, policy = Server(1.0, tmp_path / "e"), Server(1.0, tmp_path / "c"), FirstArm()
    async with (
        edge.running(),
        cloud.running(),
        running_answering(edge, cloud, policy=policy) as (answering, _),
    ):
        answered = await answer(answering, 60.0)
        await answering.finish(answered)
    assert [attempt.execution.arm.tier for attempt in answered.attempts] == ["local", "cloud"]
    assert (answered.attempt.execution.arm.tier, answered.reason) == ("cloud", "always escalated")
    ((local, remote),) = [outcome.executions for outcome in policy.outcomes]
    assert (local.arm.tier, remote.arm.tier, policy.outcomes[0].answered) == ("local", "cloud", 1)


class WithNewcomer(FirstArm):
    """Keeps the board's answer and has the last arm's answer compared."""

    def escalate(self, decision: MinimalDecision, execution: Execution, *, now: float) -> FollowUp:
        return FollowUp("keep", beside=self.arms[-1])


async def test_a_newcomer_is_asked_after_the_reply_and_its_answer_is_compared(tmp_path: Path) -> None:
    edge, cloud, policy = Server(1.0, tmp_path / "e"), Server(1.0, tmp_path / "c"), WithNewcomer()
    async with (
        edge.running(),
        cloud.running(),
        running_answering(edge, cloud, policy=policy) as (answering, _),
    ):
        answered = await answer(answering, 60.0)
        assert not cloud.received
        finished = await answering.finish(answered)
    assert answered.attempt.execution.arm.tier == "local"
    assert [attempt.execution.arm.tier for attempt in finished.attempts] == ["local", "cloud"]
    assert [comparison.places for comparison in finished.comparisons] == [(0, 1)]
    assert (policy.outcomes[0].answered, policy.outcomes[0].audited) == (0, False)


async def test_any_policy_may_fall_back(tmp_path: Path) -> None:
    """The board's server is considered healthy when the question arrives, but is not running."""
    edge, cloud, policy = Server(1.0, tmp_path / "e"), Server(1.0, tmp_path / "c"), FirstArm()
    async with AsyncExitStack() as board, cloud.running():
        await board.enter_async_context(edge.running())
        async with running_answering(edge, cloud, policy=policy) as (answering, _):
            await board.aclose()
            answered = await answer(answering, 60.0)
    assert answered.attempt.execution.arm.tier == "cloud"
