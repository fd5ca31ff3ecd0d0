"""A camera's policy holds whatever was decided: every byte that a server in the cloud gets is recorded."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Sequence
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
from agent.answering.cameras import Cameras, LocalOnly
from agent.answering.cloud_calls import CloudCalls, CloudCallsSpent
from agent.answering.comparing import Comparing
from agent.answering.question import QuestionReader
from agent.config.settings import Settings
from agent.messages.query import Query
from agent.peers.directory import ServerDirectory
from agent.profile.loading import load_profile
from agent.standalone.broker import free_port
from controller import Arm, Context, Controller, ControllerSettings, Decision, DeviceState, FollowUp, NoArm
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.rig.mock_model_server import MockModelServer
from lab.rig.wiretap import Wiretap, pictures_in

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
RESOLUTIONS = (0, 32, 100)


class CloudFirst(Controller):
    """Asks the cloud first, and audits every answer, also where the cloud is blocked: a faulty controller."""

    def decide(self, context: Context, *, now: float) -> Decision:
        decision = super().decide(context, now=now)
        return replace(decision, arm=_of("cloud", context) or decision.arm)

    def escalate(self, decision: Decision, execution: Any, *, now: float) -> FollowUp:
        clouds = [arm for arm in decision.basis.candidates.roster.arms if arm.tier == "cloud"]
        return FollowUp("audit", clouds[0]) if clouds else FollowUp("keep")


class EscalatesAll(Controller):
    """Asks the board first, then escalates, also where the cloud is blocked."""

    def decide(self, context: Context, *, now: float) -> Decision:
        decision = super().decide(context, now=now)
        return replace(decision, arm=_of("local", context) or decision.arm)

    def escalate(self, decision: Decision, execution: Any, *, now: float) -> FollowUp:
        clouds = [arm for arm in decision.basis.candidates.roster.arms if arm.tier == "cloud"]
        return FollowUp("escalate", clouds[0]) if clouds else FollowUp("keep")


def _of(tier: str, context: Context) -> Arm | None:
    return next((option.arm for option in context.options if option.arm.tier == tier), None)


class RefusesFields(MockModelServer):
    """Refuses every request with a grammar or log-probabilities, one field after the other."""

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        for name in ("top_logprobs", "logprobs", "max_tokens"):
            if name in body:
                message = f"Unsupported parameter: '{name}' is not supported with this model"
                error = {"message": message, "param": name, "code": "unsupported_parameter"}
                return web.json_response({"error": error}, status=400)
        return await super()._chat(request)


class RefusesToJudge:
    """Replaces the judge; it fails the test when it is asked."""

    async def p_same(self, *_: Any) -> float:
        raise AssertionError("the texts left the board")


@dataclass
class Rig:
    """The part of the agent that answers; what the cloud got, and what the board got."""

    answering: Answering
    cameras: Cameras
    reader: QuestionReader
    cloud: Wiretap
    board: list[bytes]

    def configure(self, policies: dict[str, Any]) -> None:
        self.cameras.apply(Settings.model_validate({"device": "d", "cameras": policies}).cameras)

    async def ask(self, client: str, *, verified: bool = True, **fields: Any) -> Answered:
        question = self.reader.read(
            Query("q", "what?", picture(), client=client, **fields), verified=verified
        )
        answered = await self.answering.answer(question, expires_at=anyio.current_time() + 20.0)
        await self.answering.finish(answered)
        return answered


def picture() -> bytes:
    image = Image.new("RGB", (320, 200), "red")
    image.paste("white", (160, 0, 320, 200))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


@asynccontextmanager
async def rig(
    folder: Path,
    controller: Callable[..., Controller] = CloudFirst,
    cloud: type[MockModelServer] = MockModelServer,
    *,
    board: bool = True,
) -> AsyncIterator[Rig]:
    rng, port, behind = np.random.default_rng(0), free_port(), free_port()
    seen: list[bytes] = []

    class Board(MockModelServer):
        async def _chat(self, request: web.Request) -> web.Response:
            seen.extend(pictures_in(await request.read()))
            return await super()._chat(request)

    runners = [web.AppRunner(kind("m", 1.0, 0.0, 8, rng).app()) for kind in (Board, cloud)]
    for runner in runners:
        await runner.setup()
    if board:
        await web.UnixSite(runners[0], f"{folder}/board").start()
    await web.TCPSite(runners[1], "127.0.0.1", behind).start()
    site = {
        "device": "d",
        "local": f"unix:{folder}/board",
        "peers": [{"id": "peer", "url": f"http://127.0.0.1:{port}"}],
        "discovery": {"zeroconf": False, "mqtt": False},
        "probing": {"sight": False},
    }
    settings, wiretap = Settings.model_validate(site), Wiretap()
    servers = ServerDirectory(settings, load_profile("generic-x86"), rng=rng, changed=lambda *_: None)
    cameras = Cameras({}, CloudCalls(lambda _: None))
    arms = Arms(servers, FixedEnergyMeter(), lambda *_: RESOLUTIONS, cameras=cameras)
    comparing = Comparing(RefusesToJudge(), rng=rng)  # type: ignore[arg-type]
    answering = Answering(
        controller(ControllerSettings(), rng=rng), arms, DeviceState, settings, rng=rng, comparing=comparing
    )
    async with wiretap.listening(port, behind), anyio.create_task_group() as tasks:
        servers.apply(settings)
        tasks.start_soon(servers.run)
        with anyio.fail_after(60):
            while not arms.settled():  # noqa: ASYNC110
                await anyio.sleep(0.02)
        yield Rig(answering, cameras, QuestionReader(arms.resolutions, settings, cameras), wiretap, seen)
        tasks.cancel_scope.cancel()
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("controller", [CloudFirst, EscalatesAll, Controller])
@pytest.mark.parametrize("mode", ["auto", "cloud"])
async def test_a_local_camera_is_answered_by_the_board_alone(
    controller: Any, mode: Any, tmp_path: Path
) -> None:
    async with rig(tmp_path, controller) as running:
        running.answering.mode = mode
        running.configure({"gate": {"local_only": True}})
        for _ in range(15):
            answered = await running.ask("gate")
            assert answered.attempt.execution.arm.tier == "local"
            assert "camera gate is local_only" in answered.reason
        assert running.cloud.questions == 0


async def test_a_local_camera_that_is_pinned_to_the_cloud_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        running.configure({"gate": {"local_only": True}})
        with pytest.raises(LocalOnly, match="camera gate is local_only"):
            await running.ask("gate", pin="cloud")
        assert running.cloud.questions == 0


async def test_a_query_that_is_pinned_to_the_board_stays_there(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        for _ in range(5):
            answered = await running.ask("gate", pin="local")
            assert answered.attempt.execution.arm.tier == "local"
        assert running.cloud.questions == 0


async def test_without_a_board_the_error_names_the_policy(tmp_path: Path) -> None:
    async with rig(tmp_path, Controller, board=False) as running:
        running.configure({"gate": {"local_only": True}})
        with pytest.raises(NoArm, match="camera gate is local_only"):
            await running.ask("gate")
        assert running.cloud.questions == 0


async def test_a_policy_applies_when_the_site_file_is_read_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        await running.ask("gate")
        asked = running.cloud.questions
        assert asked > 0
        running.configure({"gate": {"local_only": True}})
        await running.ask("gate")
        assert running.cloud.questions == asked


async def test_a_policy_that_comes_while_a_question_is_answered_holds_for_it(tmp_path: Path) -> None:
    async with rig(tmp_path, EscalatesAll) as running:
        question = running.reader.read(Query("q", "what?", picture(), client="gate"))
        complete = running.answering._arms._ask

        async def then_local(arm: Arm, *args: Any, **options: Any) -> Any:
            attempt = await complete(arm, *args, **options)
            running.configure({"gate": {"local_only": True}})
            return attempt

        running.answering._arms._ask = then_local  # type: ignore[method-assign]
        answered = await running.answering.answer(question, expires_at=anyio.current_time() + 20.0)
        assert answered.attempt.execution.arm.tier == "local"
        assert running.cloud.questions == 0


async def test_an_audit_is_not_made_after_the_mode_became_local(tmp_path: Path) -> None:
    async with rig(tmp_path, CloudFirst) as running:
        question = running.reader.read(Query("q", "what?", picture(), client="gate"))
        answered = await running.answering.answer(question, expires_at=anyio.current_time() + 20.0)
        asked = running.cloud.questions
        running.answering.mode = "local"
        await running.answering.finish(answered)
        assert (answered.audit is not None, running.cloud.questions) == (True, asked)


@pytest.mark.parametrize("cloud", [MockModelServer, RefusesFields])
async def test_no_more_calls_send_a_picture_than_a_day_has(cloud: Any, tmp_path: Path) -> None:
    async with rig(tmp_path, cloud=cloud) as running:
        running.configure({"gate": {"cloud_calls_per_day": 5}})
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(running.ask, "gate")
        answered = await running.ask("gate")
        assert len(running.cloud.pictures) == 5
        assert answered.attempt.execution.arm.tier == "local"
        assert "camera gate used its 5 cloud calls of today" in answered.reason
        with pytest.raises(CloudCallsSpent):
            await running.ask("gate", pin="cloud")
        assert (await running.ask("other")).attempt.execution.arm.tier == "cloud"


async def test_a_refused_call_is_no_evidence_against_its_server(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        running.configure({"gate": {"cloud_calls_per_day": 0}})
        for _ in range(5):
            await running.ask("gate")
        for registry in (running.answering._arms._servers.registry(tier) for tier in ("local", "cloud")):
            assert registry.resting() == []
        learned: Any = running.answering._policy
        assert learned._learned.failures.chance("peer", anyio.current_time()) == 0.0


@pytest.mark.parametrize("resolutions", [1, 3])
async def test_the_cloud_sees_a_masked_picture_and_the_board_the_whole(
    resolutions: int, tmp_path: Path
) -> None:
    async with rig(tmp_path) as running:
        running.configure({"gate": {"mask": RIGHT_HALF}})
        for _ in range(3 * resolutions):
            await running.ask("gate")
            await running.ask("gate", pin="local")
        assert len(running.cloud.pictures) > 0
        assert len(running.board) > 0
        assert {brightest_right(data) > 200 for data in running.cloud.pictures} == {False}
        assert {brightest_right(data) > 200 for data in running.board} == {True}


async def test_every_picture_of_a_question_is_masked(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        running.configure({"gate": {"mask": RIGHT_HALF}})
        query = Query("q", "same?", images=(picture(), picture()), client="gate")
        question = running.reader.read(query, verified=True)
        for resolution in RESOLUTIONS:
            masked = await question.images(resolution, running.cameras.policy("gate", verified=True).mask)
            assert [brightest_right(data) > 200 for data in masked] == [False, False]


def brightest_right(data: bytes) -> int:
    image = Image.open(io.BytesIO(data)).convert("L")
    _, high = image.crop((image.width // 2, 0, image.width, image.height)).getextrema()
    assert isinstance(high, int)
    return high


POLICIES: dict[str, Any] = {
    "gate": {"mask": RIGHT_HALF, "cloud_calls_per_day": 9},
    "*": {"local_only": True, "cloud_calls_per_day": 2},
}


@pytest.mark.parametrize(
    ("client", "verified", "local_only", "limits"),
    [
        ("gate", True, False, [("gate", 9)]),
        ("gate", False, True, [("gate", 9), ("*", 2)]),
        ("other", True, True, [("other", 2)]),
        ("other", False, True, [("*", 2)]),
        ("*", False, True, [("*", 2)]),
    ],
)
def test_a_claimed_name_allows_no_more_than_everybody_else_may(
    client: str, verified: bool, local_only: bool, limits: Sequence[tuple[str, int]]
) -> None:
    settings = Settings.model_validate({"device": "d", "cameras": POLICIES})
    policy = Cameras(settings.cameras, CloudCalls(lambda _: None)).policy(client, verified=verified)
    assert (policy.local_only, [tuple(limit) for limit in policy.limits]) == (local_only, limits)
    assert policy.mask == ((RIGHT_HALF,) if client == "gate" else ())


async def test_many_claimed_names_get_no_more_calls_than_everybody_else(tmp_path: Path) -> None:
    async with rig(tmp_path) as running:
        running.configure({"*": {"cloud_calls_per_day": 3}})
        for number in range(10):
            await running.ask(f"name-{number}", verified=False)
        assert len(running.cloud.pictures) == 3
