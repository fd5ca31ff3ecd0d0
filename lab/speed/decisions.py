"""The CPU time to decide and learn with the eight arms of the bundled trace, beside ParetoBandit."""

from __future__ import annotations

from pathlib import Path

import lab.trace
from lab.replay.decision_speed import measure_speed
from lab.replay.lineup import entry_named
from lab.replay.runner import ReplayTask, inputs_of
from lab.speed.figure import Figure, Goal
from lab.speed.plan import Plan

TRACE = Path(lab.trace.__file__).with_name("scenes.csv.gz")
KNOB = 0.98


def measure_decisions(plan: Plan) -> list[Figure]:
    """Returns the CPU time per question."""
    ours_us, rival_us = [], []
    for seed in range(plan.rounds):
        inputs = inputs_of(ReplayTask(TRACE, "inarvl", KNOB, seed, count=plan.decisions))
        ours, rival = measure_speed(entry_named("inarvl").make(inputs), inputs, questions=plan.decisions)
        ours_us.append(ours.total_us)
        rival_us.append(rival.total_us)
    return [Figure("decide and learn, 8 arms", "us", ours_us, Goal("ratio", 2), "ParetoBandit", rival_us)]
