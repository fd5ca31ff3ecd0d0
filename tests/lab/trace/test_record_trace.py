"""A recording asks every arm every question once, whatever interrupts it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.messages import images
from agent.profile.loading import load_profile
from lab.cli import app
from lab.errors import BenchError, TraceError
from lab.trace import model_server as servers
from lab.trace.model_server import ServerSpec
from lab.trace.question_set import QuestionSet
from lab.trace.record_trace import RecordOptions, record
from lab.trace.recording_journal import Journal
from lab.trace.scoring import is_right
from lab.trace.trace import Run, Trace, merged, read
from vlm import bundled
from vlm.client import VlmClient
from vlm.errors import VlmUnavailable

pytestmark = pytest.mark.anyio

PROFILE = load_profile("generic-x86")
NAME = min(bundled.names())


def options(**changed: Any) -> RecordOptions:
    return RecordOptions(**{"profile": PROFILE, "resolutions": (32, 64), **changed})


def silent(_name: str, _done: int, _total: int) -> None:
    """Nobody looks."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question that is put to a server."""
    questions: list[str] = []
    complete = VlmClient.complete

    async def noted(client: VlmClient, question: str, *args: Any, **kwargs: Any) -> Any:
        questions.append(question)
        return await complete(client, question, *args, **kwargs)

    monkeypatch.setattr(VlmClient, "complete", noted)
    return questions


async def test_every_arm_is_asked_every_question(
    asked: QuestionSet, server: str, tmp_path: Path, counted: list[str]
) -> None:
    told: list[tuple[int, int]] = []
    trace = await record(
        asked,
        [ServerSpec("local", server, "nf4")],
        options(),
        folder=tmp_path / "journal",
        report=lambda _name, done, total: told.append((done, total)),
    )
    count = len(asked.questions)
    assert list(trace.runs) == [f"local/{NAME}@32", f"local/{NAME}@64"]
    assert len(counted) == 2 * count
    assert told == [(done, 2 * count) for done in range(1, 2 * count + 1)]
    for question, traced, run in zip(
        asked.questions, trace.questions, trace.runs[f"local/{NAME}@32"], strict=True
    ):
        assert (traced.id, traced.group, traced.truth) == (question.id, question.group, question.truth)
        assert run
        assert run.correct == is_right(run.answer, question.truth)
        assert run.payload_bytes == len(images.fit(question.image.read_bytes(), 32))
        assert run.margin is not None
        assert 0 <= run.margin <= 1
        assert run.mean_logprob is not None
        assert run.mean_logprob <= 0
        assert run.compute_ms is not None
        assert 0 < run.compute_ms < run.latency_ms
        assert run.energy_j == pytest.approx(PROFILE.power.local_w * run.compute_ms / 1e3)
        assert run.energy_source == "modelled"
    signals = trace.signals()
    assert signals.shape[0] == count
    assert len({tuple(row) for row in signals}) == count


async def test_an_interrupted_recording_goes_on(
    asked: QuestionSet, server: str, tmp_path: Path, counted: list[str]
) -> None:
    def pull_the_plug(_name: str, done: int, _total: int) -> None:
        if done == 5:
            raise BenchError("the plug")

    spec = ServerSpec("cloud", server, "none")
    with pytest.raises(BenchError, match="the plug"):
        await record(asked, [spec], options(), folder=tmp_path, report=pull_the_plug)
    first = len(counted)
    trace = await record(asked, [spec], options(), folder=tmp_path, report=silent)
    assert (first, len(counted)) == (5, 2 * len(asked.questions))
    assert all(run for runs in trace.runs.values() for run in runs)


async def test_a_server_that_is_away_for_a_moment_is_asked_again(
    asked: QuestionSet, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.trace.record_trace.PAUSE_S", 0.0)
    complete, away = VlmClient.complete, [True, True, True]

    async def flaky(client: VlmClient, *args: Any, **kwargs: Any) -> Any:
        if away:
            away.pop()
            raise VlmUnavailable("cannot reach it")
        return await complete(client, *args, **kwargs)

    monkeypatch.setattr(VlmClient, "complete", flaky)
    one = asked.first(1)
    spec = ServerSpec("cloud", server, "none")
    trace = await record(one, [spec], options(), folder=tmp_path / "a", report=silent)
    assert [len(runs) for runs in trace.runs.values()] == [1, 1]
    away += [True] * 4
    with pytest.raises(VlmUnavailable):
        await record(one, [spec], options(), folder=tmp_path / "b", report=silent)


async def test_what_a_server_refuses_is_left_without_a_run(
    asked: QuestionSet, server: str, tmp_path: Path
) -> None:
    spec = ServerSpec("cloud", server, "none")
    trace = await record(asked.first(2), [spec], options(max_tokens=10**6), folder=tmp_path, report=silent)
    assert list(trace.runs.values()) == [(None, None), (None, None)]


async def test_servers_that_cannot_be_asked(asked: QuestionSet, server: str, tmp_path: Path) -> None:
    specs = {
        "is not ready to answer": [ServerSpec("cloud", f"unix:{tmp_path}/nobody", "none")],
        "serves no model other": [ServerSpec("cloud", server, "none", "other")],
        "name them apart": [ServerSpec("cloud", server, "none")] * 2,
        "holds no config.json": [ServerSpec("local", str(tmp_path), "none")],
    }
    for words, wrong in specs.items():
        with pytest.raises(Exception, match=words):
            await record(asked.first(1), wrong, options(), folder=tmp_path, report=silent)


def test_a_journal_forgets_a_line_cut_short(tmp_path: Path) -> None:
    run = Run("red", True, 0.5, -0.1, 1, 20.0, None, 0.2, "modelled", 900)
    for number in range(3):
        with Journal(tmp_path, "questions", "weights").open() as journal:
            assert len(journal.runs) == number
            journal.add("local/m@64", str(number), run if number else None)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with Journal(tmp_path, "questions", "weights").open() as journal:
        assert journal.runs == {("local/m@64", "0"): None, ("local/m@64", "1"): run}
        journal.add("local/m@64", "2", run)
    with Journal(tmp_path, "questions", "weights").open() as journal:
        assert list(journal.runs.values()) == [None, run, run]
    with Journal(tmp_path, "questions", "other weights").open() as journal:
        assert journal.runs == {}


def test_traces_of_the_same_questions_are_joined(trace: Callable[[int], Trace]) -> None:
    whole = trace(5)
    parts = [Trace(whole.questions, {arm: runs}) for arm, runs in whole.runs.items()]
    assert merged(parts) == whole
    with pytest.raises(TraceError, match="not of the same questions"):
        merged([whole, trace(4)])
    with pytest.raises(TraceError, match="record one of them under another name"):
        merged([whole, whole])


def test_the_commands_draw_serve_ask_and_write(tmp_path: Path) -> None:
    """A server of its own is started, as in service, and stopped."""
    run = CliRunner().invoke
    drawn = run(app, ["questions", str(tmp_path / "q"), "--count", "12", "--split", "9"])
    assert drawn.exit_code == 0, drawn.output
    out = tmp_path / "trace.csv.gz"
    command = ["record", str(tmp_path / "q"), "--out", str(out), "--local", f"small=bundled:{NAME}"]
    recorded = run(app, [*command, "--threads", "1", "--resolution", "64", "--limit", "2"])
    assert recorded.exit_code == 0, recorded.output
    assert "2 questions, 1 arms" in recorded.output
    assert list(read(out).runs) == ["local/small@64"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["q", "trace.csv.gz"]


def test_commands_say_what_is_wrong(tmp_path: Path, asked: QuestionSet) -> None:
    run = CliRunner().invoke
    folder = str(asked.questions[0].image.parent)
    out = ["--out", str(tmp_path / "t.csv.gz")]
    none = run(app, ["record", folder, *out])
    assert none.exit_code == 2
    assert "name at least one model" in none.output
    broken = run(app, ["record", folder, *out, "--local", str(tmp_path)])
    assert broken.exit_code == 1
    assert "holds no config.json" in broken.output


def test_a_checkpoint_that_changes_is_asked_afresh(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    spec = servers.ServerSpec("local", str(tmp_path), "nf4")
    before = spec.stamp()
    assert before == spec.stamp()
    (tmp_path / "model.safetensors").write_text("weights")
    assert spec.stamp() != before
