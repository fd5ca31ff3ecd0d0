"""The board answers as many questions if both models use their own words as if they answer in one word.

The controller, the agreement of answers and HTTP are real; mock model servers answer from a script. Time is
simulated: the servers report how long a model would compute, but do not wait. No feedback is sent, so
everything is learned by comparing the board's answers with the cloud's. The board is right in 80% of its
answers, the cloud in all.
"""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from agent.agreement.agreement import agreement
from agent.answering.answering import Answering
from agent.answering.arms import TIERS, Arms
from agent.answering.normalise import normalise
from agent.answering.question import Question, QuestionReader
from agent.config.settings import Settings
from agent.forms.form import AnswerForm
from agent.messages.query import Query
from agent.peers.access import Access
from agent.peers.network_path import Paths
from agent.peers.registry import CheckSchedule, PeerRegistry
from cloud.peer import PeerRecord
from controller import Controller, ControllerSettings, DeviceState, Tier
from lab.rig.fixed_energy import FixedEnergyMeter
from lab.rig.mock_model_server import MockAnswer, MockModelServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
SETTINGS = Settings.model_validate({"device": "d"})
QUESTIONS = 400
SEEDS = range(3)
BOARD_RIGHT = 0.8
MEDIAN_MS: Mapping[Tier, float] = {"local": 60.0, "cloud": 300.0}
CLOUD_PROBABILITY = 0.97

Wordings = Mapping[str, tuple[str, ...]]
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "orange", "purple")
ANIMALS = ("dog", "cat", "horse", "cow", "sheep", "rabbit")
THINGS = ("cup", "chair", "bottle", "lamp", "book", "bag", "plate")
PLACES = ("on the table", "near the door", "on the floor", "by the window")
NUMBERS = {"2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven"}


@dataclass(frozen=True)
class Kind:
    """A kind of question.

    Attributes:
        truths: the true answer is one of them, and so is a wrong one.
        board, cloud: how each model phrases an answer: the key is the answer, or "" for all of them.
        choices: whether the query names the truths as its choices.
    """

    question: str
    truths: tuple[str, ...]
    board: Wordings
    cloud: Wordings
    choices: bool = False


KINDS = (
    Kind(
        "Is there a {colour} {thing} {place}?",
        ("yes", "no"),
        board={
            "yes": (
                "Yes.",
                "It looks like there is a {colour} {thing}.",
                "Yes, I see one.",
                "There might be one.",
            ),
            "no": (
                "No.",
                "It looks like there is no {colour} {thing}.",
                "No, I don't see one.",
                "There is not.",
            ),
        },
        cloud={
            "yes": (
                "Yes, there is a {colour} {thing} {place}.",
                "A {colour} {thing} is visible {place}.",
                "The photo shows a room with a {colour} {thing} {place}, so yes.",
            ),
            "no": (
                "No, there is not a {colour} {thing} {place}.",
                "There isn't any {colour} {thing} in this picture.",
                "I cannot see a {colour} {thing} {place}; there is only an empty shelf.",
                "None of the objects {place} is a {colour} {thing}.",
            ),
        },
    ),
    Kind(
        "Is the gate open?",
        ("yes", "no"),
        board={
            "yes": (
                "Yes.",
                "The gate is open.",
                "It is not closed.",
                "It looks open, perhaps only a little.",
            ),
            "no": ("No.", "The gate is closed.", "Closed.", "It looks shut."),
        },
        cloud={
            "yes": (
                "Yes, the gate in the picture is open.",
                "Based on the image, the gate appears to be open.",
                "The gate is wide open, and a car passes.",
            ),
            "no": (
                "No, the gate in the picture is closed.",
                "The gate is shut, and nobody is near it.",
                "It is not open.",
            ),
        },
    ),
    Kind(
        "How many {thing}s are {place}?",
        tuple(NUMBERS),
        board={
            "": (
                "It looks like there are {number} {thing}s.",
                "{number}",
                "I count {answer}.",
                "About {answer}, of which {number} are {colour}.",
            )
        },
        cloud={
            "": (
                "I can see {answer} {thing}s in this picture.",
                "There are {number} {thing}s {place}, all of them {colour}.",
                "The number of {thing}s {place} is **{answer}**.",
            )
        },
    ),
    Kind(
        "What colour is the {thing}?",
        COLOURS,
        board={"": ("{answer}", "The colour is {answer}.", "It's {answer}.", "Mostly {answer}.")},
        cloud={
            "": (
                "The {thing} {place} is {answer}.",
                "It appears to be {answer}, with a shiny surface.",
                "This is a {answer} {thing} that stands in front of a brick wall.",
            )
        },
    ),
    Kind(
        "What animal is {place}?",
        ANIMALS,
        board={"": ("A {answer}.", "It looks like a {answer}.", "{answer}", "A small {answer} lying down.")},
        cloud={
            "": (
                "The animal {place} is a {answer}.",
                "There is a {answer} sitting {place} in this picture.",
                "This image shows a {answer} that is looking at the camera.",
            )
        },
    ),
    Kind(
        "Which of these is in the picture?",
        ANIMALS,
        board={"": ("{answer}", "({letter})", "It is the {answer}.", "I think {answer}.")},
        cloud={
            "": (
                "The picture shows a {answer}.",
                "The correct answer is {letter}. {answer}",
                "Looking at the picture, the best choice is ({letter}).",
            )
        },
        choices=True,
    ),
)


@dataclass
class Clock:
    """A clock that only moves when something sleeps."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Round:
    """A question, what the models answer in one word and in many, and how sure the board is."""

    question: Question
    short: Mapping[Tier, str]
    long: Mapping[Tier, str]
    board_probability: float


def rounds(seed: int) -> Iterator[Round]:
    """Draws the questions; nearly all right answers of the board are more probable than wrong ones."""
    rng = np.random.default_rng(seed)
    reader = QuestionReader(lambda: (64,), SETTINGS)

    def one(options: Any) -> Any:
        return options[int(rng.integers(len(options)))]

    for number in range(QUESTIONS):
        kind = one(KINDS)
        scene = {"colour": one(COLOURS), "thing": one(THINGS), "place": one(PLACES)}
        truth = one(kind.truths)
        other = one([answer for answer in kind.truths if answer != truth])
        right = rng.random() < BOARD_RIGHT
        short: dict[Tier, str] = {"local": truth if right else other, "cloud": truth}
        long: dict[Tier, str] = {}
        for tier, wordings in (("local", kind.board), ("cloud", kind.cloud)):
            answer = short[tier]
            letter = "ABCDEFGH"[kind.truths.index(answer)]
            wording = one(wordings.get(answer) or wordings[""])
            text = wording.format(answer=answer, number=NUMBERS.get(answer), letter=letter, **scene)
            long[tier] = text[0].upper() + text[1:]
        form = AnswerForm("choice", kind.truths) if kind.choices else AnswerForm()
        query = Query(str(number), kind.question.format(**scene), noise(rng), form=form)
        probability = 1 / (1 + math.exp(-rng.normal(4.0 if right else 0.0)))
        yield Round(reader.read(query), short, long, min(max(probability, 0.3), 0.9999))


def noise(rng: np.random.Generator) -> bytes:
    """Returns an image that no other question has, so that no scene is met twice."""
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((64, 64)).save(file, "JPEG")
    return file.getvalue()


@dataclass
class Servers:
    """The two mock model servers, which answer from the script by the image of a question."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    script: dict[tuple[Tier, bytes], MockAnswer] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[Tier, PeerRegistry]]:
        """Runs both, until they are found healthy; their connections serve the whole test."""
        schedule = CheckSchedule(check_s=3600.0, first_retry_s=0.05, max_retry_s=0.2)
        registries: dict[Tier, PeerRegistry] = {}
        async with AsyncExitStack() as servers, anyio.create_task_group() as tasks:
            for tier in TIERS:
                runner = web.AppRunner(self._mock(tier).app(), access_log=None)
                await runner.setup()
                servers.push_async_callback(runner.cleanup)
                await web.UnixSite(runner, str(self.folder / tier)).start()
                registries[tier] = PeerRegistry(rng=np.random.default_rng(0), schedule=schedule)
                tasks.start_soon(registries[tier].run)
                registries[tier].offer(
                    PeerRecord(tier, f"unix:{self.folder / tier}"), source="test", access=Access()
                )
            with anyio.fail_after(60):
                while not all(registry.healthy() for registry in registries.values()):  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            yield registries
            tasks.cancel_scope.cancel()

    def _mock(self, tier: Tier) -> MockModelServer:
        return MockModelServer(
            tier,
            MEDIAN_MS[tier],
            0.15,
            4,
            np.random.default_rng(1),
            script=lambda images: self.script[tier, images[0]],
            clock=self.clock,
            sleep=self.clock.sleep,
        )


async def board_share(folder: Path, seed: int, *, talkative: bool) -> float:
    """Asks all questions of `seed`; returns the share that the board answered."""
    servers = Servers(folder)
    clock, rng = servers.clock, np.random.default_rng(seed)
    controller = Controller(ControllerSettings(), rng=rng)
    local = []
    async with servers.running() as registries:
        directory = SimpleNamespace(
            registry=registries.__getitem__,
            paths=Paths(),
            prompt=lambda _tier, _server: None,
            vouched=lambda *_: False,
        )
        arms = Arms(directory, FixedEnergyMeter(), lambda _tier, _card: (64,))
        answering = Answering(controller, arms, DeviceState, SETTINGS, rng=rng, clock=clock)
        for asked in rounds(seed):
            texts = asked.long if talkative else asked.short
            (image,) = await asked.question.images(64)
            servers.script["local", image] = MockAnswer(texts["local"], asked.board_probability)
            servers.script["cloud", image] = MockAnswer(texts["cloud"], CLOUD_PROBABILITY)
            answered = await answering.answer(asked.question, expires_at=clock() + 60.0)
            await answering.finish(answered)
            local.append(answered.attempt.execution.arm.tier == "local")
            clock.now += 0.25
    assert controller.status().feedback == 0
    return float(np.mean(local))


def test_the_wordings_are_a_fair_test() -> None:
    """The words of the two models differ; what they say is mostly, not always, surely recognised."""
    unsure = 0
    for asked in rounds(0):
        query, (board, cloud) = asked.question.query, asked.long.values()
        assert normalise(board) != normalise(cloud)
        found = agreement(query.question, query.form, board, cloud)
        assert not found.sure or (found.p_same > 0.5) == (asked.short["local"] == asked.short["cloud"])
        unsure += not found.sure
    assert 0.02 < unsure / QUESTIONS < 0.2


@pytest.mark.slow
async def test_talkative_models_do_not_lower_the_boards_share(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """If only equal texts counted as the same answer, the board's share would be 5%."""
    short = [await board_share(tmp_path_factory.mktemp("s"), seed, talkative=False) for seed in SEEDS]
    long = [await board_share(tmp_path_factory.mktemp("s"), seed, talkative=True) for seed in SEEDS]
    assert np.mean(short) > 0.5, (short, long)
    assert abs(np.mean(long) - np.mean(short)) < 0.05, (short, long)
