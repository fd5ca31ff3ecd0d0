"""A small world to try the controller in: questions whose truth is known, a board, a cloud, and a link.

All of it is made up. Whether a model is right is drawn from a logistic of the question's kind, the image's
blur and a difficulty that only the model's own confidence shows; latencies are lognormal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from controller.arm import Arm
from controller.context import Context, DeviceState, LinkState, Option
from controller.controller import Controller
from controller.drift import DriftEvent
from controller.outcome import Confidence, Execution, Outcome
from controller.settings import ControllerSettings, Prior
from controller.signals import ImageSignals, Signals, TextSignals, text_signals

QUESTIONS = {
    "existence": ("Is there a red cube?", 2.2),
    "colour": ("What colour is the small ball?", 2.0),
    "shape": ("What shape is the big green thing?", 1.6),
    "count": ("How many cubes are there?", 0.3),
    "compare": ("Are there more cubes than balls?", 0.6),
    "spatial": ("What is left of the blue cube?", 0.2),
    "read": ("What number is printed on the sign?", -0.4),
}
EASY = ("existence", "colour", "shape")
HARD = ("count", "compare", "spatial", "read")
TEXTS: dict[str, TextSignals] = {kind: text_signals(text) for kind, (text, _) in QUESTIONS.items()}

BOARD = Arm("local", "small", 96, "board")
CLOUD = Arm("cloud", "big", 0, "peer")
PRIORS = {
    BOARD.skill: Prior(latency_ms=200.0, quality=0.65),
    CLOUD.skill: Prior(latency_ms=250.0, quality=0.9),
}
BOARD_W, WAIT_W, RADIO_J_PER_MB = 5.0, 1.5, 2.0


@dataclass(frozen=True)
class Question:
    """One question with all that would come of it on either tier."""

    signals: Signals
    board: Execution
    cloud: Execution
    truth: str

    def right(self, run: Execution) -> bool:
        return run.answer == self.truth


@dataclass
class World:
    """What the questions and the machines are like now; change it to make them drift."""

    rng: np.random.Generator
    kinds: tuple[str, ...] = tuple(QUESTIONS)
    rtt_ms: float = 60.0
    uplink_mbps: float = 4.0
    board_ms: float = 110.0
    cloud_ms: float = 250.0
    board_skill: float = 0.0
    cloud_skill: float = 2.6
    payload_bytes: int = 30_000
    tells_confidence: bool = True
    pictures: int = 0  # how many are asked about again and again; 0 for a new one each time

    def question(self) -> Question:
        rng = self.rng
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        blur = float(rng.beta(1.5, 4.0))
        hidden = float(rng.normal(0.0, 1.6))
        z = QUESTIONS[kind][1] + self.board_skill - 2.0 * blur + hidden + 0.4
        truth = "yes"
        board = truth if rng.random() < _sigmoid(1.4 * z) else f"no{rng.integers(3)}"
        cloud = truth if rng.random() < _sigmoid(self.cloud_skill + 0.4 * z) else f"no{rng.integers(3)}"
        shown = 0.9 * z + float(rng.normal(0.0, 0.6))
        confidence = Confidence(
            first_token_margin=max(0.0, 2.0 * _sigmoid(1.2 * shown + 0.6) - 1.0),
            mean_logprob=-0.3 * _sigmoid(-shown),
            tokens=int(rng.integers(1, 4)),
        )
        image = _image(blur, rng)
        if self.pictures:
            number = int(rng.integers(self.pictures))
            image = replace(image, picture=f"picture {number}", scene=f"scene {number // 2}")
        return Question(
            Signals(image, TEXTS[kind]),
            self._run(BOARD, board, confidence if self.tells_confidence else None),
            self._run(CLOUD, cloud, None),
            truth,
        )

    def context(self, question: Question) -> Context:
        link = LinkState(rtt_ms=self.rtt_ms, uplink_mbps=self.uplink_mbps, loss=0.0)
        options = (Option(BOARD), Option(CLOUD, self.payload_bytes, link=link))
        return Context(question.signals, options, DeviceState(cpu_load=0.3, temp_c=55.0))

    def _run(self, arm: Arm, answer: str, confidence: Confidence | None) -> Execution:
        mean_ms = self.board_ms if arm is BOARD else self.cloud_ms
        compute_ms = mean_ms * math.exp(0.15 * float(self.rng.normal()))
        if arm is BOARD:
            energy_j = BOARD_W * compute_ms / 1e3
            return Execution(arm, compute_ms, compute_ms, 0.0, energy_j, answer, confidence)
        path_ms = (self.rtt_ms + self.payload_bytes * 8e-3 / self.uplink_mbps) * float(
            self.rng.uniform(0.9, 1.3)
        )
        latency_ms = compute_ms + path_ms
        energy_j = WAIT_W * latency_ms / 1e3 + RADIO_J_PER_MB * self.payload_bytes / 1e6
        return Execution(arm, latency_ms, compute_ms, 0.0, energy_j, answer)


@dataclass
class Record:
    """What came of one question."""

    tier: str
    right: bool
    cloud_right: bool
    board_right: bool
    cost: float
    cloud_cost: float
    asked_cloud: bool
    differ: float | None


@dataclass
class Run:
    """A stretch of questions."""

    records: list[Record] = field(default_factory=list)
    events: list[DriftEvent] = field(default_factory=list)

    def __getitem__(self, part: slice) -> Run:
        return Run(self.records[part])

    @property
    def edge_share(self) -> float:
        return float(np.mean([record.tier == "local" for record in self.records]))

    @property
    def kept(self) -> float:
        """Accuracy as a share of the cloud's on the same questions."""
        return sum(r.right for r in self.records) / sum(r.cloud_right for r in self.records)

    @property
    def kept_by_chance(self) -> float:
        """The same for sending the same share of questions to the board at random."""
        board = sum(r.board_right for r in self.records) / sum(r.cloud_right for r in self.records)
        return self.edge_share * board + 1.0 - self.edge_share

    @property
    def cost(self) -> float:
        """Latency and energy, audits included, as a share of always asking the cloud."""
        return sum(r.cost for r in self.records) / sum(r.cloud_cost for r in self.records)


def ask(controller: Controller, world: World, settings: ControllerSettings, now: float) -> tuple[Record, Run]:
    """Take one question through the controller as the agent does."""
    question = world.question()
    runs = {BOARD.id: question.board, CLOUD.id: question.cloud}
    decision = controller.decide(world.context(question), now=now)
    executions = [runs[decision.arm.id]]
    answered, audited, differ = 0, False, None
    if decision.arm == BOARD:
        follow_up = controller.escalate(decision, question.board, now=now)
        differ = follow_up.loss
        if follow_up.arm is not None:
            executions.append(runs[follow_up.arm.id])
        answered = int(follow_up.action == "escalate")
        audited = follow_up.action == "audit"
    events = controller.learn(decision, Outcome(tuple(executions), answered, audited), now=now)
    sent = executions[answered]
    weights = settings.weights

    def cost(runs: list[Execution], felt: list[Execution]) -> float:
        latency_s = sum(run.latency_ms or 0.0 for run in felt) / 1e3
        energy_j = sum(run.energy_j or 0.0 for run in runs)
        return weights.latency_per_s * latency_s + weights.energy_per_j * energy_j

    record = Record(
        tier=sent.arm.tier,
        right=question.right(sent),
        cloud_right=question.right(question.cloud),
        board_right=question.right(question.board),
        cost=cost(executions, executions[: answered + 1]),
        cloud_cost=cost([question.cloud], [question.cloud]),
        asked_cloud=len(executions) > 1 or sent.arm == CLOUD,
        differ=differ,
    )
    return record, Run([], list(events))


def simulate(
    controller: Controller,
    world: World,
    settings: ControllerSettings,
    count: int,
    *,
    start: int = 0,
    step: Callable[[int, World], None] | None = None,
) -> Run:
    """Ask `count` questions, one a second; `step` may change the world before each."""
    run = Run()
    for i in range(start, start + count):
        if step is not None:
            step(i, world)
        record, events = ask(controller, world, settings, float(i))
        run.records.append(record)
        run.events += events.events
    return run


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def _image(blur: float, rng: np.random.Generator) -> ImageSignals:
    return ImageSignals(
        width=320,
        height=240,
        bytes=int(rng.integers(8_000, 30_000)),
        format="JPEG",
        jpeg_quality=80.0,
        brightness=float(rng.uniform(0.2, 0.8)),
        contrast=float(rng.uniform(0.1, 0.3)),
        dark=0.02,
        bright=0.01,
        sharpness=30.0 * (1.0 - blur),
        noise=float(rng.exponential(3.0)),
        edges=0.1,
        entropy=6.5,
    )


@pytest.fixture
def settings() -> ControllerSettings:
    return ControllerSettings(priors=PRIORS)


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Makes a world from a seed and whatever of it should differ."""
    return lambda seed, **changes: World(np.random.default_rng(seed), **changes)


@pytest.fixture
def make_controller() -> Callable[[int, ControllerSettings], Controller]:
    return lambda seed, settings: Controller(settings, rng=np.random.default_rng(1000 + seed))


@pytest.fixture
def run() -> Callable[..., Run]:
    return simulate


@pytest.fixture
def signals() -> Signals:
    return Signals(_image(0.3, np.random.default_rng(0)), TEXTS["count"])
