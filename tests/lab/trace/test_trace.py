"""A trace keeps what it was given, and says where it cannot be read."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.arm import Arm
from lab.errors import TraceError
from lab.trace.trace import Trace, arm_named, read, write

Build = Callable[[int], Trace]


@pytest.fixture
def damage(tmp_path: Path, trace: Build) -> Callable[[str, str], Path]:
    """Writes a trace in which one text is replaced by another."""

    def damaged(old: str, new: str) -> Path:
        path = tmp_path / "trace.csv.gz"
        write(path, trace(3))
        text = gzip.decompress(path.read_bytes()).decode()
        assert old in text
        path.write_bytes(gzip.compress(text.replace(old, new).encode()))
        return path

    return damaged


@pytest.mark.parametrize("count", [0, 1, 20])
def test_what_is_written_is_read_again(tmp_path: Path, trace: Build, count: int) -> None:
    path = tmp_path / "trace.csv.gz"
    kept = trace(count)
    write(path, kept)
    again = read(path)
    assert again == kept
    assert np.array_equal(again.signals(), kept.signals())
    assert [entry.name for entry in tmp_path.iterdir()] == ["trace.csv.gz"]


def test_the_names_under_which_a_question_may_be_met_again_are_read_too(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    kept = trace(2)
    looks = ("0f", "a1", "a1b2")
    kept = replace(kept, questions=(replace(kept.questions[0], looks=looks), kept.questions[1]))
    write(path, kept)
    assert [question.looks for question in read(path).questions] == [looks, ()]
    write(path, replace(kept, questions=(replace(kept.questions[0], looks=looks[:2]), kept.questions[1])))
    with pytest.raises(TraceError, match=r"line \d+: looks must be 3 names or none"):
        read(path)


def test_a_trace_without_such_names_is_read(damage: Callable[[str, str], Path], trace: Build) -> None:
    assert read(damage(",looks,", ",once,")) == trace(3)


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path, trace: Build) -> None:
    one, other = tmp_path / "one.csv.gz", tmp_path / "other.csv.gz"
    write(one, trace(9))
    write(other, trace(9))
    assert one.read_bytes() == other.read_bytes()


def test_its_arms_are_the_controllers(trace: Build) -> None:
    small, big = trace(1).arms
    assert small == Arm("local", "small", 64, server="local")
    assert (big.tier, big.model, big.resolution) == ("cloud", "owner/big.v2", 128)
    assert tuple(trace(1).runs) == (small.skill, big.skill)


@pytest.mark.parametrize("name", ["small@64", "edge/small@64", "local/small", "local/@64", "local/small@x"])
def test_a_name_of_no_arm_is_refused(name: str) -> None:
    with pytest.raises(TraceError, match="write local/MODEL@RESOLUTION"):
        arm_named(name)


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
def test_a_damaged_trace_is_refused_with_the_place(
    damage: Callable[[str, str], Path], old: str, new: str, words: str
) -> None:
    with pytest.raises(TraceError, match=words):
        read(damage(old, new))


def test_a_line_cut_short_is_refused(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    write(path, trace(3))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-40]))
    with pytest.raises(TraceError, match="must be"):
        read(path)


def test_a_file_cut_short_is_refused(tmp_path: Path, trace: Build) -> None:
    path = tmp_path / "trace.csv.gz"
    write(path, trace(50))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TraceError, match="no whole trace"):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no whole trace"):
        read(tmp_path / "nothing.csv.gz")
