"""Fixtures: a small trace, a question set with a model server, and the soak that runs beside the tests."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import anyio
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal

from controller.signals import FEATURES
from lab.scenes.question import TYPES
from lab.trace.question_set import QuestionSet
from lab.trace.scene_questions import write_questions
from lab.trace.trace import Run, Trace, TracedQuestion
from soaking import Soaking
from vlm import bundled
from vlm.checkpoint import Checkpoint
from vlm.server import ServeOptions, ServerInfo, serve

SOAKING = pytest.StashKey[Soaking]()
ARMS = ("local/small@64", "cloud/owner/big.v2@128")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests that check the soak to the end: the soak runs during the others."""
    items.sort(key=_checks_soak)


def pytest_collection_finish(session: pytest.Session) -> None:
    if Soaking.possible() and not session.config.option.collectonly and any(map(_checks_soak, session.items)):
        session.config.stash[SOAKING] = Soaking()


def pytest_unconfigure(config: pytest.Config) -> None:
    if (soaking := config.stash.get(SOAKING, None)) is not None:
        soaking.end()


def _checks_soak(item: pytest.Item) -> bool:
    return "soaked" in getattr(item, "fixturenames", ())


@pytest.fixture
def soaked(pytestconfig: pytest.Config) -> Path:
    """Return the file with the readings of the finished soak."""
    return pytestconfig.stash[SOAKING].readings()


@pytest.fixture
def trace() -> Callable[[int], Trace]:
    """Return a function that builds a trace: three questions per group, every seventh run missing."""

    def build(count: int) -> Trace:
        rng = np.random.default_rng(5)
        questions = tuple(
            TracedQuestion(
                id=f"q{n}",
                group=f"image {n // 3}",
                type=("counting", "colour, or shade")[n % 2],
                question='how many "cups"?\nplease',
                truth=str(n % 10),
                signals=np.round(rng.random(len(FEATURES)), 3),
            )
            for n in range(count)
        )
        return Trace(questions, {arm: tuple(_run(rng, n) for n in range(count)) for arm in ARMS})

    return build


def _run(rng: np.random.Generator, number: int) -> Run | None:
    if number % 7 == 6:
        return None
    margin = float(np.round(rng.random(), 3))
    has_confidence = number % 5 > 0
    return Run(
        answer=f"ü {number}",
        correct=bool(rng.random() < margin),
        margin=margin if has_confidence else None,
        mean_logprob=round(margin - 1.0, 3) if has_confidence else None,
        tokens=1 + number % 3 if has_confidence else None,
        latency_ms=20.0 + number,
        compute_ms=10.0 + number if has_confidence else None,
        energy_j=0.25,
        energy_source="modelled" if has_confidence else "measured",
        payload_bytes=1000 + number,
    )


@pytest.fixture(scope="session")
def question_set(tmp_path_factory: pytest.TempPathFactory) -> QuestionSet:
    """Return one drawn question of each type."""
    folder = tmp_path_factory.mktemp("questions")
    list(write_questions(folder, len(TYPES), 4, split=9))
    return QuestionSet.from_csv(folder)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real server with a bundled model in a thread; yields its address."""
    pytest.importorskip("torch", reason="the vlm extra is not installed")
    path = tmp_path_factory.mktemp("socket") / "vlm.sock"
    name = min(bundled.names())
    options = ServeOptions((Checkpoint.at(f"bundled:{name}", "none"),), f"unix:{path}", "cpu", threads=1)
    ready: Future[ServerInfo] = Future()

    async def on_ready(info: ServerInfo) -> None:
        ready.set_result(info)

    with start_blocking_portal() as portal:
        stop = portal.call(anyio.Event)
        served = portal.start_task_soon(partial(serve, options, on_ready=on_ready, stop=stop))
        served.add_done_callback(
            lambda ended: None if ready.done() else ready.set_exception(ended.exception())
        )
        try:
            ready.result(200)
            yield f"unix:{path}"
        finally:
            portal.call(stop.set)
            served.result(200)
