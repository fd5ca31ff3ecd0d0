"""Asks every arm every question and keeps what came of it.

1. Servers are asked as the agent asks them: by vlm's client, the image encoded by the agent's own encoder.
2. A server has one question at a time, so that none waits for another.
3. Everything is journalled as it comes; whatever interrupts a recording, the next one goes on from there.
4. A question that a server refuses is left without a run; any other failure is tried again, then ends it all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from agent.messages import images
from agent.profile.profile import Profile
from agent.sensing.energy_model import modelled_energy
from controller.arm import Arm
from controller.signals import Signals, image_signals, text_signals
from inarvl.errors import InarvlError
from lab.errors import BenchError
from lab.trace.energy_meter import Meter
from lab.trace.model_server import ServerSpec, serving
from lab.trace.question_set import PosedQuestion, QuestionSet
from lab.trace.recording_journal import Journal
from lab.trace.scoring import is_right
from lab.trace.trace import Run, Trace, TracedQuestion
from vlm.client import Completion, VlmClient
from vlm.errors import VlmBusy, VlmRefused, VlmTimeout, VlmUnavailable

TRIES = 4
PAUSE_S = 2.0

Report = Callable[[str, int, int], None]
"""(what is asked, answers so far, answers in all)."""


@dataclass(frozen=True)
class RecordOptions:
    """How to record.

    Attributes:
        profile: whose power model prices the answers; it also knows resolutions where servers tell none.
        resolutions: longest image sides in pixels to try every model at; empty takes each model's own.
        max_tokens: most output tokens per answer.
        timeout_s: how long an answer may take.
        jobs: how many servers to ask at once; with more than one they disturb each other's latencies.
        meter: measures the energy of local answers, None to model it.
    """

    profile: Profile
    resolutions: tuple[int, ...] = ()
    max_tokens: int = 16
    timeout_s: float = 120.0
    jobs: int = 1
    meter: Meter | None = None


async def record(
    questions: QuestionSet,
    servers: Sequence[ServerSpec],
    options: RecordOptions,
    *,
    folder: Path,
    report: Report,
) -> Trace:
    """Ask everything, keeping the journal in `folder`; what is in it already is not asked again.

    Raises BenchError and VlmError, whose messages say what to do; what was recorded is kept.
    """
    if options.meter and options.jobs > 1:
        raise BenchError("energy can be measured with one job only: others would be measured with it")
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, tuple[Run | None, ...]]] = [{} for _ in servers]
    limit = anyio.CapacityLimiter(options.jobs)

    failures: list[InarvlError] = []

    async def ask(number: int) -> None:
        try:
            async with limit:
                runs[number] = await _ask(questions, servers[number], options, folder, report)
        except InarvlError as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for number in range(len(servers)):
            tasks.start_soon(ask, number)
    if failures:
        raise failures[0]
    by_arm: dict[str, tuple[Run | None, ...]] = {}
    for recorded in runs:
        for arm in recorded:
            if arm in by_arm:
                raise BenchError(f"two servers answer as {arm}: name them apart, as NAME=SOURCE")
        by_arm |= recorded
    return Trace(await to_thread.run_sync(_traced, questions), by_arm)


async def _ask(
    questions: QuestionSet, spec: ServerSpec, options: RecordOptions, folder: Path, report: Report
) -> dict[str, tuple[Run | None, ...]]:
    """Every arm of one server."""
    with tempfile.TemporaryDirectory(prefix="inarvl-bench-") as place:
        async with serving(spec, Path(place)) as client:
            arms = await _arms(client, spec, options)
            total, done = len(arms) * len(questions.questions), 0
            with Journal(folder, questions.digest, spec.stamp()).open() as journal:
                for question in questions.questions:
                    fitted = _Fitted(question.image)
                    for arm in arms:
                        if (arm.skill, question.id) not in journal.runs:
                            run = await _run(client, arm, question, fitted, options)
                            journal.add(arm.skill, question.id, run)
                        done += 1
                        report(f"{spec.tier} {spec.name or spec.source}", done, total)
                return {
                    arm.skill: tuple(journal.runs[arm.skill, question.id] for question in questions.questions)
                    for arm in arms
                }


async def _arms(client: VlmClient, spec: ServerSpec, options: RecordOptions) -> list[Arm]:
    cards = await client.models()
    if spec.name:
        cards = [card for card in cards if card.id == spec.name]
    if not cards:
        raise BenchError(f"{spec.source} serves no model {spec.name or 'at all'}; ask its /v1/models")
    return [
        Arm(spec.tier, card.id, resolution, server=spec.tier)
        for card in cards
        for resolution in options.resolutions or options.profile.resolutions_of(spec.tier, card)
    ]


class _Fitted:
    """An image at the resolutions that are asked for, each encoded once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fitted: dict[int, bytes] = {}

    async def at(self, resolution: int) -> bytes:
        if resolution not in self._fitted:
            whole = await anyio.Path(self._path).read_bytes()
            self._fitted[resolution] = await to_thread.run_sync(images.fit, whole, resolution)
        return self._fitted[resolution]


async def _run(
    client: VlmClient, arm: Arm, question: PosedQuestion, fitted: _Fitted, options: RecordOptions
) -> Run | None:
    image = await fitted.at(arm.resolution)
    meter = options.meter if arm.tier == "local" else None
    if meter:
        meter.begin()
    try:
        completion = await _complete(client, arm, question.question, image, options)
    except VlmRefused:
        return None
    if meter:
        energy_j, source = meter.end(), "measured"
    else:
        modelled = modelled_energy(options.profile.controller_settings().power, arm.tier, completion)
        energy_j, source = modelled.joules, modelled.source
    told = completion.confidence
    return Run(
        answer=completion.text,
        correct=is_right(completion.text, question.truth),
        margin=told.first_token_margin,
        mean_logprob=told.mean_logprob,
        tokens=told.tokens if told.tokens is not None else completion.completion_tokens,
        latency_ms=completion.latency_ms,
        compute_ms=completion.compute_ms,
        energy_j=energy_j,
        energy_source="measured" if source == "measured" else "modelled",
        payload_bytes=len(image),
    )


async def _complete(
    client: VlmClient, arm: Arm, question: str, image: bytes, options: RecordOptions
) -> Completion:
    for last in (*[False] * (TRIES - 1), True):
        try:
            return await client.complete(
                question,
                image,
                model=arm.model,
                max_tokens=options.max_tokens,
                timeout_s=options.timeout_s,
            )
        except (VlmBusy, VlmTimeout, VlmUnavailable):
            if last:
                raise
            await anyio.sleep(PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _traced(questions: QuestionSet) -> tuple[TracedQuestion, ...]:
    return tuple(map(_traced_question, questions.questions))


def _traced_question(q: PosedQuestion) -> TracedQuestion:
    signals = Signals(image_signals(q.image.read_bytes()), text_signals(q.question))
    return TracedQuestion(q.id, q.group, q.type, q.question, q.truth, signals.vector(), signals.looks)
