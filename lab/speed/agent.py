"""The agent's own cost: a real broker and agent, with model servers that answer at once."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil
from paho.mqtt import subscribe

from agent.profile.loading import load_profile
from lab.rig.deployment import TOPICS, Deployment
from lab.speed.asker import Asker
from lab.speed.echo import TOPIC, running_echo
from lab.speed.figure import Figure, Goal
from lab.speed.imports import imported_rss_mib
from lab.speed.picture import camera_picture
from lab.speed.plan import Plan

WARM_UP = 300
CALLS = 100
MIB = 2**20
ECHO = "bare paho echo"
PROFILE = "generic-x86"  # of `Deployment`


def measure_agent(plan: Plan) -> list[Figure]:
    """Returns CPU time, latency, throughput, memory and idle CPU time of the agent."""
    image = camera_picture(640, 480)
    with instant_deployment(plan.folder) as deployment, ExitStack() as stack:
        port = deployment.layout.broker_port
        agent = psutil.Process(deployment.services["agent"].pid)
        stack.enter_context(running_echo(port))
        asker = stack.enter_context(Asker(port, TOPICS.query, image, TOPICS.result("speed")))
        echo = stack.enter_context(Asker(port, TOPIC, image, TOPICS.result("echo")))
        for client in (asker, echo):
            client.ask(min(WARM_UP, plan.remembered), 8)
        asked = min(WARM_UP, plan.remembered)
        cpu_ms: dict[int, list[float]] = {number: [] for number in plan.under_way}
        per_s: dict[int, list[float]] = {number: [] for number in plan.under_way}
        echo_per_s: dict[int, list[float]] = {number: [] for number in plan.under_way}
        p50_ms, echo_p50_ms = [], []
        for _ in range(plan.rounds):
            call_ms = _call_ms(deployment, image)
            for number in plan.under_way:
                echoed = echo.ask(plan.questions, number)
                spent_s, answered = _cpu_s(agent), asker.ask(plan.questions, number)
                cpu_ms[number].append((_cpu_s(agent) - spent_s) / plan.questions * 1e3)
                per_s[number].append(answered.per_s)
                echo_per_s[number].append(echoed.per_s)
                asked += plan.questions
                if number == 1:
                    p50_ms.append(answered.p50_ms - call_ms)
                    echo_p50_ms.append(echoed.p50_ms)
        if asked < plan.remembered:
            for _ in range(0, plan.remembered - asked, plan.questions):
                asker.ask(plan.questions, 8)
                asked += plan.questions
        rss_mib = agent.memory_info().rss / MIB
        idle = [_idle_percent(agent, plan.idle_s)]
    most = max(plan.under_way)
    figures = [Figure("added latency, one at a time", "ms", p50_ms, Goal("ratio", 8), ECHO, echo_p50_ms)]
    for number in plan.under_way:
        name = f"CPU per question, {number} under way"
        figures.append(Figure(name, "ms", cpu_ms[number], Goal("value", 3)))
    for number in plan.under_way:
        goal = Goal("ratio", 0.1, at_least=True) if number == most else None
        name = f"throughput, {number} under way"
        figures.append(Figure(name, "/s", per_s[number], goal, ECHO, echo_per_s[number]))
    core_w = load_profile(PROFILE).power.core_w
    millijoules = [ms * core_w for ms in cpu_ms[1]]
    figures.append(Figure("energy per question, 1 under way", "mJ", millijoules, estimated=True))
    imported = [imported_rss_mib()]
    name = f"resident memory after {asked} questions"
    figures.append(Figure(name, "MiB", [rss_mib], Goal("ratio", 1.4), "bare imports", imported))
    figures.append(Figure("idle CPU, one core", "%", idle, Goal("value", 1)))
    return figures


@contextmanager
def instant_deployment(folder: Path) -> Iterator[Deployment]:
    """Runs a broker, an agent and two model servers that answer at once."""
    with TemporaryDirectory(prefix="inarvl-speed-", dir=folder) as name:
        command = (sys.executable, "-m", "lab.rig.mock_model_server", "--ms", "0", "--slots", "256")
        deployment = Deployment(
            Path(name),
            edge_command=(*command, "--model", "mock-edge"),
            cloud_command=(*command, "--model", "mock-cloud"),
            settings={"discovery": {"zeroconf": True}},
        )
        try:
            deployment.start_all()
            _wait_online(deployment.layout.broker_port)
            yield deployment
        finally:
            deployment.stop_all()


def _wait_online(port: int) -> None:
    """Returns when the agent has subscribed: the broker drops questions before."""
    while subscribe.simple(TOPICS.status, port=port).payload != b"online":  # type: ignore[no-untyped-call]
        time.sleep(0.1)


def _call_ms(deployment: Deployment, image: bytes) -> float:
    """Returns the median time of a call of the model server, without the agent."""
    server = http.client.HTTPConnection(deployment.layout.address, deployment.layout.cloud_port)

    def call() -> None:
        server.request("POST", "/v1/chat/completions", body=image)
        server.getresponse().read()

    times = [_elapsed_s(call) for _ in range(CALLS)]
    server.close()
    return median(times) * 1e3


def _elapsed_s(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _idle_percent(process: psutil.Process, idle_s: float) -> float:
    time.sleep(min(3.0, idle_s))  # what the last questions left to do
    started, spent_s = time.monotonic(), _cpu_s(process)
    time.sleep(idle_s)
    return (_cpu_s(process) - spent_s) / (time.monotonic() - started) * 100
