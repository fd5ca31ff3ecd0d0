"""What a trace teaches is worth something on other questions, and is written for agents."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agent.profile.warm_start import read_warm_start
from constructed import constructed_trace
from controller import Controller
from controller.quality import features
from lab.cli import app
from lab.policies.inarvl import seeded_controller, settings_for
from lab.replay.warm_start import knowledge_of
from lab.sim.cost_profile import JETSON_WAN
from lab.sim.dataset import Dataset, prepare
from lab.trace import trace as traces


@pytest.fixture(scope="module")
def halves() -> tuple[Dataset, Dataset]:
    dataset = prepare(constructed_trace(900), JETSON_WAN)
    return dataset.half("tune"), dataset.half("report")


def surprise(policy: Controller, dataset: Dataset) -> float:
    """Mean -log of the probability that was given to what the board's answers did: differ or not."""
    learned, found = policy._learned, []
    roster = learned.rosters.of(dataset.arms)
    assert roster.home is not None
    for signals, answers in zip(dataset.signals, dataset.answers, strict=True):
        differ = learned.quality.guess(roster, features(signals.vector()), np.zeros(len(roster.arms))).differ
        found += [
            -np.log(differ[place] if answers[place] != answers[roster.home] else 1.0 - differ[place])
            for place in roster.local
        ]
    return float(np.mean(found))


def test_it_tells_of_questions_of_the_other_half(halves: tuple[Dataset, Dataset]) -> None:
    tuning, reported = halves
    settings = settings_for(tuning, JETSON_WAN)
    warm = seeded_controller(settings, seed=0, knowledge=knowledge_of(tuning, settings))
    assert surprise(warm, reported) < surprise(seeded_controller(settings, seed=0), reported)


def test_the_command_writes_what_a_controller_begins_with(tmp_path: Path) -> None:
    trace, out = tmp_path / "trace.csv.gz", tmp_path / "known.json.gz"
    traces.write(trace, constructed_trace(300))
    told = CliRunner().invoke(app, ["warm-start", str(trace), "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert "300 questions" in told.output
    dataset = prepare(traces.read(trace), JETSON_WAN)
    seeded_controller(settings_for(dataset, JETSON_WAN), seed=0, knowledge=read_warm_start(out))
