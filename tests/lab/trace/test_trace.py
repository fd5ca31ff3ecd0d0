"""A written trace is read unchanged, and errors name the place in the file."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.arm import Arm
from lab.errors import TraceError
from lab.trace.trace import Trace, parse_arm, read_trace, write_trace

LOCAL = "local/small@64"
Build = Callable[[int], Trace]


@pytest.fixture
def damage(tmp_path: Path, trace: Build) -> Callable[[str, str], Path]:
    """Writes a trace in which one text is replaced by another."""

    def damaged(old: str, new: str) -> Path:
        path = tmp_path / "trace.csv.gz"
        write_trace(path, trace(3))
        text = gzip.decompress(path.read_bytes()).decode()
        assert old in text
        path.write_bytes(gzip.compress(text.replace(old, new).encode()))
        return path

    return damaged


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_written_trace_is_read_unchanged(tmp_path: Path, trace: Build, count: int) -> None:
    path = tmp_path / "trace.csv.gz"
    original = trace(count)
    write_trace(path, original)
    again = read_trace(path)
    assert again == original
    assert np.array_equal(again.signals(), original.signals())
    assert [entry.name for entry in tmp_path.iterdir()] == ["trace.csv.gz"]


@pytest.mark.parametrize(
    "text", ["", "  two \n", "a\r\nb\rc\u2028d", 'say "x", ok', "a\0b", "**7**\t\ufeff", "x" * 200_000]
)
def test_texts_of_answers_are_kept_unchanged(tmp_path: Path, trace: Build, text: str) -> None:
    path = tmp_path / "trace.csv.gz"
    original = trace(1)
    run = original.runs[LOCAL][0]
    assert run
    original = replace(original, runs={LOCAL: (replace(run, answer=text),)})
    write_trace(path, original)
    assert read_trace(path) == original


def test_a_trace_without_texts_is_read(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    original = trace(10)
    without = tuple(run and replace(run, answer=None) for run in original.runs[LOCAL])
    original = replace(original, runs=dict(original.runs) | {LOCAL: without})
    write_trace(path, original)
    assert f"{LOCAL}.answer" not in gzip.decompress(path.read_bytes()).decode()
    assert read_trace(path) == original


def test_looks_are_written_and_read(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    original = trace(2)
    looks = ("0f", "a1", "a1b2")
    original = replace(
        original, questions=(replace(original.questions[0], looks=looks), original.questions[1])
    )
    write_trace(path, original)
    assert [question.looks for question in read_trace(path).questions] == [looks, ()]
    write_trace(
        path,
        replace(original, questions=(replace(original.questions[0], looks=looks[:2]), original.questions[1])),
    )
    with pytest.raises(TraceError, match=r"line \d+: looks must be 3 keys or none"):
        read_trace(path)


def test_a_trace_without_looks_is_read(damage: Callable[[str, str], Path], trace: Build) -> None:
    assert read_trace(damage(",looks,", ",other,")) == trace(3)


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path, trace: Build) -> None:
    one, other = tmp_path / "one.csv.gz", tmp_path / "other.csv.gz"
    write_trace(one, trace(9))
    write_trace(other, trace(9))
    assert one.read_bytes() == other.read_bytes()


def test_its_arms_are_those_of_the_controller(trace: Build) -> None:
    small, big = trace(1).arms
    assert small == Arm("local", "small", 64, server="local")
    assert (big.tier, big.model, big.resolution) == ("cloud", "owner/big.v2", 128)
    assert tuple(trace(1).runs) == (small.skill, big.skill)


@pytest.mark.parametrize("name", ["small@64", "edge/small@64", "local/small", "local/@64", "local/small@x"])
def test_an_invalid_arm_name_is_rejected(name: str) -> None:
    with pytest.raises(TraceError, match="write local/MODEL@RESOLUTION"):
        parse_arm(name)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("small@64.margin", "small@64.margins", r"lacks the columns local/small@64.margin"),
        ("signal.blur", "signal.sharpness", "lacks the columns signal.blur"),
        (",modelled,", ",guessed,", r'line \d+: local/small@64.energy_source must be "measured" or "mod'),
        (",20,,0.25", ",soon,,0.25", r"line \d+: local/small@64.latency_ms must be a number, not 'soon'"),
        (",20,,0.25", ",nan,,0.25", "must be a number, not 'nan'"),
    ],
)
def test_the_error_for_an_invalid_trace_names_the_place(
    damage: Callable[[str, str], Path], old: str, new: str, words: str
) -> None:
    with pytest.raises(TraceError, match=words):
        read_trace(damage(old, new))


def test_a_truncated_line_is_rejected(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    write_trace(path, trace(3))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-40]))
    with pytest.raises(TraceError, match="must be"):
        read_trace(path)


def test_a_truncated_file_is_rejected(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    write_trace(path, trace(50))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TraceError, match="not a complete trace"):
        read_trace(path)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not a complete trace"):
        read_trace(tmp_path / "nothing.csv.gz")
