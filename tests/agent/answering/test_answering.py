"""Answers come in time: the board races a cloud that is late, what loses is cancelled, retries are few."""

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
from agent.messages.query import Query
from agent.peers.path import Paths
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
from lab.rig.load.standin import StandIn
from lab.scenes.render import render
from lab.scenes.scene import draw

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
NEVER_MS = 3.6e6
SETTINGS = Settings.model_validate({"device": "d", "intake": {"max_tokens": 4}})


class Unmetered:
    """Tells no energy: what an answer costs is not the subject."""

    @asynccontextmanager
    async def over(self, tier: str) -> AsyncIterator[None]:
        yield

    def energy(self, *_: object) -> Any:
        return type("Energy", (), {"joules": None, "source": None})


@dataclass
class Tier:
    """A stand-in server whose pace a test sets, and which says when a caller hung up."""

    ms: float
    socket: Path
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        standin = StandIn("m", self.ms, 0.0, 4, np.random.default_rng(0))

        @web.middleware
        async def watch(request: web.Request, handler: Any) -> Any:
            chat = request.path.endswith("completions")
            self.asked += chat
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
async def answering(
    edge: Tier | None,
    cloud: Tier | None,
    *,
    healthy: bool = True,
    naming_s: float = 0.0,
    policy: Policy[Any] | None = None,
) -> AsyncIterator[tuple[Answering, dict[str, PeerRegistry]]]:
    """An answering with a real controller over stand-ins, each tier healthy unless told otherwise."""
    rng = np.random.default_rng(3)
    schedule = CheckSchedule(check_s=0.2, first_retry_s=0.05, max_retry_s=0.2, naming_s=naming_s)
    tiers = {"local": edge, "cloud": cloud}
    peers = {tier: PeerRegistry(rng=rng, schedule=schedule) for tier in tiers}
    async with anyio.create_task_group() as tasks:
        for tier, server in tiers.items():
            tasks.start_soon(peers[tier].run)
            if server is not None:
                peers[tier].offer(PeerRecord(tier, f"unix:{server.socket}"), source="test")
        with anyio.fail_after(60):
            while healthy and any(server and not peers[tier].healthy() for tier, server in tiers.items()):  # noqa: ASYNC110
                await anyio.sleep(0.02)
        controller = Controller(ControllerSettings(), rng=rng)
        servers = SimpleNamespace(registry=peers.__getitem__, paths=Paths())
        arms = Arms(servers, Unmetered(), lambda _tier, _card: (64,))  # type: ignore[arg-type]
        yield Answering(policy or controller, arms, DeviceState, SETTINGS, rng=rng), peers
        tasks.cancel_scope.cancel()


def question(pin: Any = None) -> Question:
    file = io.BytesIO()
    render(draw(np.random.default_rng(0))).save(file, "JPEG")
    return QuestionReader(lambda: (64,), SETTINGS).read(Query("q", "what?", file.getvalue(), pin=pin))


async def answer(answering: Answering, left_s: float, **options: Any) -> Any:
    return await answering.answer(question(**options), expires_at=asyncio.get_running_loop().time() + left_s)


async def test_the_board_answers_when_the_cloud_is_late_and_the_cloud_is_told_to_stop(tmp_path: Path) -> None:
    edge, cloud = Tier(1.0, tmp_path / "e"), Tier(NEVER_MS, tmp_path / "c")
    async with edge.running(), cloud.running(), answering(edge, cloud) as (asked, _):
        seen = set()
        for _ in range(6):
            answered = await answer(asked, 20.0)
            seen |= {run.execution.failure for run in answered.attempts}
            assert answered.attempt.execution.arm.tier == "local"
        assert cloud.asked, "the cloud was tried"
        assert seen & {"late", "vlm_timeout"}
        with anyio.fail_after(30):
            await cloud.hung_up.wait()


async def test_a_server_that_is_always_late_is_left_alone(tmp_path: Path) -> None:
    edge, cloud = Tier(1.0, tmp_path / "e"), Tier(NEVER_MS, tmp_path / "c")
    async with edge.running(), cloud.running(), answering(edge, cloud) as (asked, peers):
        for _ in range(12):
            await answer(asked, 20.0)
        (peer,) = peers["cloud"].known()
        assert peer.breaker.opened or not cloud.asked
        assert cloud.asked < 12


async def test_without_a_board_the_deadline_is_kept_with_an_error(tmp_path: Path) -> None:
    cloud = Tier(NEVER_MS, tmp_path / "c")
    async with cloud.running(), answering(None, cloud) as (asked, _):
        with pytest.raises((Unanswered, DeadlineExpired)):
            await answer(asked, 0.5)
        with anyio.fail_after(30):
            await cloud.hung_up.wait()


async def test_a_server_that_comes_back_in_time_answers_after_all(tmp_path: Path) -> None:
    """It is believed healthy when the question comes, and is gone for the moment."""
    edge = Tier(1.0, tmp_path / "e")
    async with AsyncExitStack() as server:
        await server.enter_async_context(edge.running())
        async with answering(edge, None) as (asked, peers), anyio.create_task_group() as tasks:
            await server.aclose()

            async def come_back() -> None:
                while peers["local"].healthy():  # noqa: ASYNC110 # the failure has no event
                    await anyio.sleep(0.01)
                await server.enter_async_context(edge.running())

            tasks.start_soon(come_back)
            answered = await answer(asked, 60.0)
    assert answered.attempt.execution.arm.tier == "local"


async def test_a_question_from_before_the_first_look_at_the_servers_waits_for_it(tmp_path: Path) -> None:
    edge = Tier(1.0, tmp_path / "e")
    async with edge.running(), answering(edge, None, healthy=False) as (asked, peers):
        assert not peers["local"].settled()
        answered = await answer(asked, 60.0)
        assert peers["local"].settled()
    assert answered.attempt.execution.arm.tier == "local"


async def test_a_question_for_the_cloud_waits_for_peers_to_be_named_after_a_start(tmp_path: Path) -> None:
    cloud = Tier(1.0, tmp_path / "c")
    async with (
        cloud.running(),
        answering(None, None, naming_s=3600.0) as (asked, peers),
        anyio.create_task_group() as tasks,
    ):

        async def name() -> None:
            await anyio.sleep(0.2)
            peers["cloud"].offer(PeerRecord("cloud", f"unix:{cloud.socket}"), source="test")

        tasks.start_soon(name)
        answered = await answer(asked, 60.0, pin="cloud")
    assert answered.attempt.execution.arm.tier == "cloud"


async def test_where_nobody_can_come_the_sender_is_told_at_once() -> None:
    async with answering(None, None) as (asked, _):
        with pytest.raises(NoArm, match="no model server"):
            await answer(asked, 3600.0)


async def test_a_question_for_the_board_alone_does_not_wait_for_the_cloud(tmp_path: Path) -> None:
    async with answering(None, None, naming_s=3600.0) as (asked, peers):
        peers["local"]._settled = True
        with pytest.raises(NoArm):
            await answer(asked, 3600.0, pin="local")


async def test_once_the_servers_have_been_looked_at_the_sender_is_told_at_once(tmp_path: Path) -> None:
    async with answering(Tier(1.0, tmp_path / "nobody"), None, healthy=False) as (asked, peers):
        with pytest.raises(NoArm):
            await answer(asked, 3600.0)
        assert peers["local"].settled()


@dataclass(frozen=True)
class TinyDecision:
    """The least that a policy may decide."""

    id: str
    arm: Arm
    propensity: float = 1.0
    predictions: dict[str, Prediction] = field(default_factory=dict)
    risk: float | None = None
    reason: str = "it is the first"


@dataclass
class FirstArm:
    """A policy in a few lines: asks the first arm, then the others in order, and escalates everything."""

    outcomes: list[Outcome] = field(default_factory=list)
    arms: tuple[Arm, ...] = ()

    def decide(self, context: Context, *, now: float) -> TinyDecision:
        self.arms = tuple(option.arm for option in context.options)
        if not self.arms:
            raise NoArm("there is no model server")
        return TinyDecision("1", self.arms[0])

    def fallback(self, decision: TinyDecision, failed: Execution, *, now: float) -> TinyDecision | None:
        following = self.arms[self.arms.index(failed.arm) + 1 :]
        return TinyDecision(decision.id, following[0], reason="the one before failed") if following else None

    def escalate(self, decision: TinyDecision, execution: Execution, *, now: float) -> FollowUp:
        if execution.arm.tier == "cloud":
            return FollowUp("keep")
        return FollowUp("escalate", self.arms[-1], reason="always escalated")

    def learn(self, decision: TinyDecision, outcome: Outcome, *, now: float) -> tuple[()]:
        self.outcomes.append(outcome)
        return ()

    def feedback(self, decision_id: str, correct: bool, *, now: float) -> bool:
        return False


async def test_any_policy_can_take_the_place_of_the_controller(tmp_path: Path) -> None:
    edge, cloud, policy = Tier(1.0, tmp_path / "e"), Tier(1.0, tmp_path / "c"), FirstArm()
    async with edge.running(), cloud.running(), answering(edge, cloud, policy=policy) as (asked, _):
        answered = await answer(asked, 60.0)
        await asked.finish(answered)
    assert [attempt.execution.arm.tier for attempt in answered.attempts] == ["local", "cloud"]
    assert (answered.attempt.execution.arm.tier, answered.reason) == ("cloud", "always escalated")
    ((local, remote),) = [outcome.executions for outcome in policy.outcomes]
    assert (local.arm.tier, remote.arm.tier, policy.outcomes[0].answered) == ("local", "cloud", 1)


async def test_any_policy_may_fall_back(tmp_path: Path) -> None:
    """The board's server is believed healthy when the question comes, and is gone."""
    edge, cloud, policy = Tier(1.0, tmp_path / "e"), Tier(1.0, tmp_path / "c"), FirstArm()
    async with AsyncExitStack() as board, cloud.running():
        await board.enter_async_context(edge.running())
        async with answering(edge, cloud, policy=policy) as (asked, _):
            await board.aclose()
            answered = await answer(asked, 60.0)
    assert answered.attempt.execution.arm.tier == "cloud"
