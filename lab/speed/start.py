"""How long the agent needs from exec to READY=1, on the clock and on the processor."""

from __future__ import annotations

import time

import psutil

from lab.speed.agent import instant_deployment
from lab.speed.figure import Figure, Goal
from lab.speed.imports import import_times
from lab.speed.plan import Plan

YARDSTICK = "same imports"


def measure_start(plan: Plan) -> list[Figure]:
    """Returns the time of a start."""
    start_s, start_cpu_s, imports_s, imports_cpu_s = [], [], [], []
    with instant_deployment(plan.folder) as deployment:
        for _ in range(plan.rounds):
            deployment.stop("agent")
            imports = import_times()
            imports_s.append(imports.elapsed_s)
            imports_cpu_s.append(imports.cpu_s)
            started = time.perf_counter()
            deployment.start("agent")
            deployment.wait_ready("agent")
            start_s.append(time.perf_counter() - started)
            spent = psutil.Process(deployment.services["agent"].pid).cpu_times()
            start_cpu_s.append(spent.user + spent.system)
    return [
        Figure("exec to READY", "s", start_s, Goal("ratio", 1.5), YARDSTICK, imports_s),
        Figure("exec to READY, CPU", "s", start_cpu_s, None, YARDSTICK, imports_cpu_s),
    ]
