"""Records a trace: asks every arm every question.

1. Servers are asked as the agent asks them: with vlm's client and with images encoded by the agent's encoder.
2. A server gets one question at a time, so that no question waits for another.
3. Every answer is written to a journal immediately. After an interruption the recording continues from there.
4. If a server refuses a question, the question has no run. Any other failure is retried, then ends the
   recording.
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
from controller import Arm, Signals, image_signals, text_signals
from inarvl.errors import InarvlError
from lab.errors import BenchError
from lab.trace.energy_meter import EnergyMeter
from lab.trace.model_server import ServerSpec, running_server
from lab.trace.question_set import ImageQuestion, QuestionSet
from lab.trace.recording_journal import RecordingJournal
from lab.trace.scoring import is_right
from lab.trace.trace import Run, Trace, TracedQuestion
from vlm.client import Completion, VlmClient
from vlm.errors import VlmBusy, VlmRefused, VlmTimeout, VlmUnavailable

TRIES = 4
PAUSE_S = 2.0

ReportProgress = Callable[[str, int, int], None]
"""(name of the server, answers so far, answers in total)."""


@dataclass(frozen=True)
class RecordOptions:
    """Options of a recording.

    Attributes:
        profile: models the energy of answers, and gives the resolutions of models whose server reports none.
        resolutions: longest image sides in pixels, for every model; empty for each model's own.
        max_tokens: maximum of output tokens per answer.
        timeout_s: maximum duration of a call.
        jobs: servers that are asked at the same time; more than one disturb each other's latencies.
        meter: measures the energy of local answers; None to model it.
    """

    profile: Profile
    resolutions: tuple[int, ...] = ()
    max_tokens: int = 16
    timeout_s: float = 120.0
    jobs: int = 1
    meter: EnergyMeter | None = None


async def record_trace(
    questions: QuestionSet,
    servers: Sequence[ServerSpec],
    options: RecordOptions,
    *,
    folder: Path,
    report: ReportProgress,
) -> Trace:
    """Asks every arm every question.

    Args:
        folder: of the journals; what is recorded there is not asked again.
        report: called after every answer.

    Raises:
        BenchError, VlmError: the recording failed; the journals are kept.
    """
    if options.meter and options.jobs > 1:
        raise BenchError(
            "energy can be measured only with one job: the energy of other jobs would be included"
        )
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
                raise BenchError(f"two servers have the arm {arm}: name their models, as NAME=SOURCE")
        by_arm |= recorded
    return Trace(await to_thread.run_sync(_traced, questions), by_arm)


async def _ask(
    questions: QuestionSet, spec: ServerSpec, options: RecordOptions, folder: Path, report: ReportProgress
) -> dict[str, tuple[Run | None, ...]]:
    """Asks every arm of one server every question."""
    with tempfile.TemporaryDirectory(prefix="inarvl-bench-") as server_folder:
        async with running_server(spec, Path(server_folder)) as client:
            arms = await _arms(client, spec, options)
            total, done = len(arms) * len(questions.questions), 0
            with RecordingJournal(folder, questions.digest, spec.fingerprint()).open() as journal:
                for question in questions.questions:
                    image = _ResizedImage(question.image)
                    for arm in arms:
                        if (arm.skill, question.id) not in journal.runs:
                            run = await _run(client, arm, question, image, options)
                            journal.append(arm.skill, question.id, run)
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
        raise BenchError(f"{spec.source} serves no model {spec.name or 'at all'}; see its /v1/models")
    return [
        Arm(spec.tier, card.id, resolution, server=spec.tier)
        for card in cards
        for resolution in options.resolutions or options.profile.resolutions_of(spec.tier, card)
    ]


class _ResizedImage:
    """An image at several resolutions, each encoded only once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoded: dict[int, bytes] = {}

    async def at(self, resolution: int) -> bytes:
        if resolution not in self._encoded:
            original = await anyio.Path(self._path).read_bytes()
            self._encoded[resolution] = await to_thread.run_sync(images.fit, original, resolution)
        return self._encoded[resolution]


async def _run(
    client: VlmClient, arm: Arm, question: ImageQuestion, resized: _ResizedImage, options: RecordOptions
) -> Run | None:
    image = await resized.at(arm.resolution)
    meter = options.meter if arm.tier == "local" else None
    if meter:
        meter.start()
    try:
        completion = await _complete(client, arm, question.question, image, options)
    except VlmRefused:
        return None
    if meter:
        energy_j, source = meter.stop(), "measured"
    else:
        modelled = modelled_energy(options.profile.controller_settings().power, arm.tier, completion)
        energy_j, source = modelled.joules, modelled.source
    confidence = completion.confidence
    return Run(
        answer=completion.text,
        correct=is_right(completion.text, question.truth),
        margin=confidence.first_token_margin,
        mean_logprob=confidence.mean_logprob,
        tokens=confidence.tokens if confidence.tokens is not None else completion.completion_tokens,
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


def _traced_question(q: ImageQuestion) -> TracedQuestion:
    signals = Signals(image_signals(images.normalise(q.image.read_bytes())), text_signals(q.question))
    return TracedQuestion(q.id, q.group, q.type, q.question, q.truth, signals.vector(), signals.looks)
