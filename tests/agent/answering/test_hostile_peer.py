"""Whatever a peer answers, the agent runs, questions are answered, and the peer is named with the reason.

The peers are scripts of lab.rig.hostile; the board's server is a mock.
"""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from agent.answering.answering import Answering
from agent.answering.arms import Arms
from agent.answering.hedging import Unanswered
from agent.answering.question import Question, QuestionReader
from agent.config.settings import Settings
from agent.messages.query import Query
from agent.peers.access import Access
from agent.peers.directory import ServerDirectory
from agent.profile.loading import load_profile
from cloud.peer import PeerRecord
from controller import Context, Controller, ControllerSettings, Decision, DeviceState, NoArm
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.rig.hostile.cases import CASES, HostilePeer
from lab.rig.hostile.server import HostileServer
from lab.rig.mock_model_server import MockModelServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
BAD = "bad"
QUESTIONS = 3


class CloudFirst(Controller):
    """The controller, except that it asks the cloud first where it can."""

    def decide(self, context: Context, *, now: float) -> Decision:
        decision = super().decide(context, now=now)
        clouds = [arm for arm in decision.basis.candidates.roster.arms if arm.tier == "cloud"]
        return replace(decision, arm=clouds[0]) if clouds else decision


@asynccontextmanager
async def agent(folder: Path, url: str) -> AsyncIterator[tuple[Answering, ServerDirectory]]:
    """The part of the agent that answers, with a board's server and the peer at `url`."""
    site = {
        "device": "d",
        "local": f"unix:{folder}/board",
        "peers": [{"id": BAD, "url": url}],
        "discovery": {"zeroconf": False, "mqtt": False},
        "probing": {"sight": False},
    }
    settings, rng = Settings.model_validate(site), np.random.default_rng(0)
    board = web.AppRunner(MockModelServer("board", 1.0, 0.0, 8, rng).app())
    await board.setup()
    await web.UnixSite(board, f"{folder}/board").start()
    directory = ServerDirectory(
        settings, load_profile("generic-x86"), rng=rng, changed=lambda _server, _state: None
    )
    arms = Arms(directory, FixedEnergyMeter(), lambda _tier, card: card.resolutions or (64,))
    controller = CloudFirst(ControllerSettings(), rng=rng)
    try:
        async with anyio.create_task_group() as tasks:
            directory.apply(settings)
            tasks.start_soon(directory.run)
            yield Answering(controller, arms, DeviceState, settings, rng=rng), directory
            tasks.cancel_scope.cancel()
        controller.restore(controller.snapshot())  # what it learned is valid
    finally:
        await board.cleanup()


def question(number: int) -> Question:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), (number, 0, 0)).save(file, "JPEG")
    settings = Settings.model_validate({"device": "d"})
    return QuestionReader(lambda: (64,), settings).read(Query(f"q{number}", "what?", file.getvalue()))


async def checked(directory: ServerDirectory) -> None:
    """Waits until both servers were checked once."""
    with anyio.fail_after(60):
        while not all(directory.registry(tier).settled() for tier in ("local", "cloud")):  # noqa: ASYNC110
            await anyio.sleep(0.02)


@pytest.mark.parametrize("peer", CASES.values(), ids=CASES)
async def test_questions_are_answered_and_the_peer_is_named(peer: HostilePeer, tmp_path: Path) -> None:
    server = HostileServer({BAD: peer})
    async with server.running(), agent(tmp_path, server.url(BAD)) as (answering, directory):
        await checked(directory)
        texts = []
        for number in range(QUESTIONS):
            until = anyio.current_time() + 20.0
            answered = await answering.answer(question(number), expires_at=until)
            await answering.finish(answered)
            texts += [attempt.text for attempt in answered.attempts]
            assert answered.attempt.execution.failure is None
            if peer.reason is not None:
                assert answered.attempt.execution.arm.tier == "local"
        if peer.reason is None:
            assert {"peer", "yes", "a\N{REPLACEMENT CHARACTER}b"} & set(texts)
        else:
            named = [directory.problem(BAD) or "", *texts]
            assert any(re.search(peer.reason, text) for text in named), named
        assert directory.doors.replies.faults == 0


@pytest.mark.parametrize("name", ["no-key", "no-credit", "forbidden", "no-quota"])
async def test_a_peer_that_refuses_the_agent_is_asked_once_until_its_rest_ends(
    name: str, tmp_path: Path
) -> None:
    server = HostileServer({BAD: CASES[name]})
    async with server.running(), agent(tmp_path, server.url(BAD)) as (answering, directory):
        await checked(directory)
        for number in range(60):
            until = anyio.current_time() + 20.0
            answered = await answering.answer(question(number), expires_at=until)
            assert answered.attempt.execution.arm.tier == "local"
        assert server.asked[BAD] == 1
        ((peer, rest_s),) = directory.registry("cloud").resting()
        assert peer.record.id == BAD
        assert rest_s > 40.0


POISON = "poison"


class Poisoned(MockModelServer):
    """A server that fails with the questions that contain POISON."""

    async def _chat(self, request: web.Request) -> web.Response:
        if POISON in (await request.read()).decode():
            return web.json_response({"error": {"message": "a fault of this server"}}, status=500)
        return await super()._chat(request)


@asynccontextmanager
async def poisoned_servers(folder: Path) -> AsyncIterator[tuple[Answering, ServerDirectory]]:
    """The part of the agent that answers, with three servers that all fail with some questions."""
    rng, runners = np.random.default_rng(0), []
    for name in ("board", "one", "two"):
        runner = web.AppRunner(Poisoned(name, 1.0, 0.0, 8, rng).app())
        await runner.setup()
        await web.UnixSite(runner, f"{folder}/{name}").start()
        runners.append(runner)
    site = {"device": "d", "local": f"unix:{folder}/board", "discovery": {"zeroconf": False, "mqtt": False}}
    settings = Settings.model_validate(site)
    directory = ServerDirectory(settings, load_profile("generic-x86"), rng=rng, changed=lambda *_: None)
    arms = Arms(directory, FixedEnergyMeter(), lambda _tier, _card: (64,))
    controller = CloudFirst(ControllerSettings(), rng=rng)
    async with anyio.create_task_group() as tasks:
        directory.apply(settings)
        for name in ("one", "two"):
            directory.registry("cloud").offer(
                PeerRecord(name, f"unix:{folder}/{name}"), source="test", access=Access()
            )
        tasks.start_soon(directory.run)
        await checked(directory)
        yield Answering(controller, arms, DeviceState, settings, rng=rng), directory
        tasks.cancel_scope.cancel()
    for runner in runners:
        await runner.cleanup()


def asked(text: str, number: int) -> Question:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), (number, 0, 0)).save(file, "JPEG")
    settings = Settings.model_validate({"device": "d"})
    return QuestionReader(lambda: (64,), settings).read(Query(f"{text}{number}", text, file.getvalue()))


async def test_questions_with_which_every_server_fails_take_no_server_from_others(tmp_path: Path) -> None:
    async with poisoned_servers(tmp_path) as (answering, directory):
        for number in range(30):
            until = anyio.current_time() + 20.0
            with pytest.raises(Unanswered):
                await answering.answer(asked(POISON, number % 2), expires_at=until)
            answered = await answering.answer(asked("what?", number), expires_at=until)
            assert answered.attempt.execution.failure is None
        assert [len(directory.registry(tier).healthy()) for tier in ("local", "cloud")] == [1, 2]


async def test_without_a_server_the_message_has_the_time_and_the_reason(tmp_path: Path) -> None:
    server = HostileServer({BAD: CASES["no-credit"]})
    async with server.running(), agent(tmp_path, server.url(BAD)) as (answering, directory):
        await checked(directory)
        answering.mode = "cloud"
        until = anyio.current_time() + 20.0
        with pytest.raises(Unanswered, match="pay first"):
            await answering.answer(question(0), expires_at=until)
        rests = r"these servers rest: bad until \d\d:\d\d:\d\d UTC, in \d+ s .*pay first"
        with pytest.raises(NoArm, match=rests):
            await answering.answer(question(1), expires_at=until)
        directory.registry("local").began("board")
        directory.registry("local").ended("board", "unreachable", "it is switched off")
        answering.mode = "auto"
        rests = r"all servers rest: board until .*switched off.*; bad until .*pay first"
        with pytest.raises(NoArm, match=rests):
            await answering.answer(question(2), expires_at=until)
