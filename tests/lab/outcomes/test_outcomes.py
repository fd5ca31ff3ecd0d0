"""Reads a generated folder of outcomes and formats the results of routing on it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.errors import TraceError
from lab.outcomes.outcome_curve import OutcomeCurve, OutcomePoint
from lab.outcomes.read_outcomes import read_outcomes
from lab.report.outcomes_table import outcomes_table
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    lines = ["task,question,image,small,large,other"]
    for number in range(12):
        grid = np.kron(rng.integers(0, 2, (8, 8)) * 255, np.ones((8, 8))).astype(np.uint8)
        for side in (64, 128):
            name = f"{number}-{side}.png"
            Image.fromarray(grid).resize((side, side), Image.Resampling.NEAREST).save(images / name)
            lines.append(f"Count,How many squares are there?,{name},{number % 2},1,0")
    (tmp_path / "outcomes.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_outcomes_are_read_as_a_trace_with_two_arms(folder: Path) -> None:
    trace = read_outcomes(folder, "small", "large")
    assert list(trace.runs) == ["local/small@0", "cloud/large@0"]
    dataset = prepare(trace, JETSON_WAN)
    assert dataset.correct.mean(axis=0).tolist() == [0.5, 1.0]
    assert dataset.confidences[0][0].first_token_margin is None


def test_the_same_image_at_another_size_is_in_the_same_group(folder: Path) -> None:
    groups = [question.group for question in read_outcomes(folder, "small", "large").questions]
    assert groups[::2] == groups[1::2]
    assert len(set(groups)) == 12


def test_two_wrong_answers_of_different_models_differ(folder: Path) -> None:
    trace = read_outcomes(folder, "small", "other")
    small, other = (runs[0] for runs in trace.runs.values())
    assert small is not None
    assert other is not None
    assert not small.correct
    assert not other.correct
    assert small.answer != other.answer


def test_the_error_names_a_missing_column_or_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="lacks unknown"):
        read_outcomes(folder, "unknown", "large")
    with pytest.raises(TraceError, match="give the folder"):
        read_outcomes(tmp_path / "nowhere", "small", "large")


def test_the_table_reports_the_gain(folder: Path) -> None:
    table = outcomes_table(
        OutcomeCurve((OutcomePoint(0.1, 0.8, 0.4, 0.75, 0.66),), {0.1: (0.09, 0.08)}, (0.1,), (0.05,))
    )
    assert "+8.5 points" in table.note
    assert "would give +10.0" in table.note
    assert table.rows[0][5].shown == "+9.0%"
