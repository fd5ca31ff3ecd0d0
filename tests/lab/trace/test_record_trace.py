"""A recording asks every arm every question once, also after an interruption."""

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
from lab.trace.record_trace import RecordOptions, record_trace
from lab.trace.recording_journal import RecordingJournal
from lab.trace.scoring import is_right
from lab.trace.trace import Run, Trace, merge_traces, read_trace
from vlm import bundled
from vlm.client import VlmClient
from vlm.errors import VlmUnavailable

pytestmark = pytest.mark.anyio

PROFILE = load_profile("generic-x86")
NAME = min(bundled.names())


def options(**changed: Any) -> RecordOptions:
    return RecordOptions(**{"profile": PROFILE, "resolutions": (32, 64), **changed})


def silent(_name: str, _done: int, _total: int) -> None:
    """Ignores the progress."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All questions that servers are question_set, in order."""
    questions: list[str] = []
    complete = VlmClient.complete

    async def counting(client: VlmClient, question: str, *args: Any, **kwargs: Any) -> Any:
        questions.append(question)
        return await complete(client, question, *args, **kwargs)

    monkeypatch.setattr(VlmClient, "complete", counting)
    return questions


async def test_every_arm_is_asked_every_question(
    question_set: QuestionSet, server: str, tmp_path: Path, counted: list[str]
) -> None:
    progress: list[tuple[int, int]] = []
    trace = await record_trace(
        question_set,
        [ServerSpec("local", server, "nf4")],
        options(),
        folder=tmp_path / "journal",
        report=lambda _name, done, total: progress.append((done, total)),
    )
    count = len(question_set.questions)
    assert list(trace.runs) == [f"local/{NAME}@32", f"local/{NAME}@64"]
    assert len(counted) == 2 * count
    assert progress == [(done, 2 * count) for done in range(1, 2 * count + 1)]
    for question, traced, run in zip(
        question_set.questions, trace.questions, trace.runs[f"local/{NAME}@32"], strict=True
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


async def test_an_interrupted_recording_continues(
    question_set: QuestionSet, server: str, tmp_path: Path, counted: list[str]
) -> None:
    def interrupt(_name: str, done: int, _total: int) -> None:
        if done == 5:
            raise BenchError("interrupted")

    spec = ServerSpec("cloud", server, "none")
    with pytest.raises(BenchError, match="interrupted"):
        await record_trace(question_set, [spec], options(), folder=tmp_path, report=interrupt)
    first = len(counted)
    trace = await record_trace(question_set, [spec], options(), folder=tmp_path, report=silent)
    assert (first, len(counted)) == (5, 2 * len(question_set.questions))
    assert all(run for runs in trace.runs.values() for run in runs)


async def test_a_server_that_is_briefly_unavailable_is_asked_again(
    question_set: QuestionSet, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.trace.record_trace.PAUSE_S", 0.0)
    complete, failures = VlmClient.complete, [True, True, True]

    async def flaky(client: VlmClient, *args: Any, **kwargs: Any) -> Any:
        if failures:
            failures.pop()
            raise VlmUnavailable("cannot reach it")
        return await complete(client, *args, **kwargs)

    monkeypatch.setattr(VlmClient, "complete", flaky)
    one = question_set.first(1)
    spec = ServerSpec("cloud", server, "none")
    trace = await record_trace(one, [spec], options(), folder=tmp_path / "a", report=silent)
    assert [len(runs) for runs in trace.runs.values()] == [1, 1]
    failures += [True] * 4
    with pytest.raises(VlmUnavailable):
        await record_trace(one, [spec], options(), folder=tmp_path / "b", report=silent)


async def test_a_question_that_a_server_refuses_has_no_run(
    question_set: QuestionSet, server: str, tmp_path: Path
) -> None:
    spec = ServerSpec("cloud", server, "none")
    trace = await record_trace(
        question_set.first(2), [spec], options(max_tokens=0), folder=tmp_path, report=silent
    )
    assert list(trace.runs.values()) == [(None, None), (None, None)]


async def test_the_error_for_an_unusable_server_says_why(
    question_set: QuestionSet, server: str, tmp_path: Path
) -> None:
    specs = {
        "is not ready to answer": [ServerSpec("cloud", f"unix:{tmp_path}/missing", "none")],
        "serves no model other": [ServerSpec("cloud", server, "none", "other")],
        "name their models": [ServerSpec("cloud", server, "none")] * 2,
        "holds no config.json": [ServerSpec("local", str(tmp_path), "none")],
    }
    for words, wrong in specs.items():
        with pytest.raises(Exception, match=words):
            await record_trace(question_set.first(1), wrong, options(), folder=tmp_path, report=silent)


def test_a_journal_ignores_a_truncated_line(tmp_path: Path) -> None:
    run = Run("red", True, 0.5, -0.1, 1, 20.0, None, 0.2, "modelled", 900)
    for number in range(3):
        with RecordingJournal(tmp_path, "questions", "weights").open() as journal:
            assert len(journal.runs) == number
            journal.append("local/m@64", str(number), run if number else None)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with RecordingJournal(tmp_path, "questions", "weights").open() as journal:
        assert journal.runs == {("local/m@64", "0"): None, ("local/m@64", "1"): run}
        journal.append("local/m@64", "2", run)
    with RecordingJournal(tmp_path, "questions", "weights").open() as journal:
        assert list(journal.runs.values()) == [None, run, run]
    with RecordingJournal(tmp_path, "questions", "other weights").open() as journal:
        assert journal.runs == {}


def test_traces_of_the_same_questions_are_merged(trace: Callable[[int], Trace]) -> None:
    whole = trace(5)
    parts = [Trace(whole.questions, {arm: runs}) for arm, runs in whole.runs.items()]
    assert merge_traces(parts) == whole
    with pytest.raises(TraceError, match="do not have the same questions"):
        merge_traces([whole, trace(4)])
    with pytest.raises(TraceError, match="record one of them under another name"):
        merge_traces([whole, whole])


@pytest.mark.slow
def test_the_commands_draw_questions_and_record_a_trace(tmp_path: Path) -> None:
    """The command starts and stops a server for the checkpoint."""
    run = CliRunner().invoke
    drawn = run(app, ["questions", str(tmp_path / "q"), "--count", "12", "--split", "9"])
    assert drawn.exit_code == 0, drawn.output
    out = tmp_path / "trace.csv.gz"
    command = ["record", str(tmp_path / "q"), "--out", str(out), "--local", f"small=bundled:{NAME}"]
    recorded = run(app, [*command, "--threads", "1", "--resolution", "64", "--limit", "2"])
    assert recorded.exit_code == 0, recorded.output
    assert "2 questions, 1 arms" in recorded.output
    assert list(read_trace(out).runs) == ["local/small@64"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["q", "trace.csv.gz"]


def test_the_record_command_explains_errors(tmp_path: Path, question_set: QuestionSet) -> None:
    run = CliRunner().invoke
    folder = str(question_set.questions[0].image.parent)
    out = ["--out", str(tmp_path / "t.csv.gz")]
    none = run(app, ["record", folder, *out])
    assert none.exit_code == 2
    assert "name at least one model" in none.output
    broken = run(app, ["record", folder, *out, "--local", str(tmp_path)])
    assert broken.exit_code == 1
    assert "holds no config.json" in broken.output


def test_the_fingerprint_changes_with_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    spec = servers.ServerSpec("local", str(tmp_path), "nf4")
    before = spec.fingerprint()
    assert before == spec.fingerprint()
    (tmp_path / "model.safetensors").write_text("weights")
    assert spec.fingerprint() != before
