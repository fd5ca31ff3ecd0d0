"""The share of answers from the board follows the sensors: temperature, throttling and power mode.

The board is simulated: constructed files of an Orin Nano, which the real sensors read, and a model whose
latency rises as the GPU's clock limit falls. The controller is real; questions, cloud and link are simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from agent.profile.choice import choose_profile
from agent.profile.identity import BoardIdentity
from agent.sensing.sensing import Sensing
from agent.sensing.sensors import all_sensors
from controller.arm import Arm
from controller.context import Context, LinkState, Option
from controller.controller import Controller
from controller.outcome import Confidence, Execution, Outcome
from controller.signals import ImageSignals, Signals, text_signals

pytestmark = pytest.mark.anyio
LOCAL, CLOUD = Arm("local", "small", 96, "board"), Arm("cloud", "big", 96, "peer")
FULL_HZ = 624_750_000
SIGNALS = Signals(
    ImageSignals(320, 240, 20_000, "JPEG", 85.0, 0.5, 0.2, 0.0, 0.0, 20.0, 1.0, 0.1, 7.0),
    text_signals("Is there a red cube?"),
)


@dataclass
class SimulatedBoard:
    """A board whose files the test writes; it is asked four questions per second of simulated time."""

    root: Path
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    now: float = 0.0

    def __post_init__(self) -> None:
        # Without the processor and the battery, which are those of the test machine.
        sensors = [
            paced
            for paced in all_sensors(power_s=0.2, sense_s=0.2, root=self.root)
            if paced.sensor.name in ("ina", "gpu", "tegra", "thermal")
        ]
        self._sensors = sensors
        self.sensing = Sensing(sensors, smoothing_s=0.0, clock=lambda: self.now)
        profile = choose_profile(BoardIdentity("NVIDIA Jetson Orin Nano Developer Kit", 6, 7.9), self.root)
        self.controller = Controller(profile.controller_settings(), rng=np.random.default_rng(1))

    def _write(self, path: str, value: object) -> None:
        (self.root / path).write_text(f"{value}\n")

    def set_temperature(self, temp_c: float) -> None:
        self._write("sys/class/thermal/thermal_zone8/temp", round(temp_c * 1000))

    def set_power_mode(self, mode: int, clock_hz: int) -> None:
        self._write("var/lib/nvpmodel/status", f"pmode:{mode:04}")
        self._write("sys/class/devfreq/17000000.gpu/max_freq", clock_hz)

    def set_throttling(self, on: bool, clock_hz: int) -> None:
        self._write("sys/class/thermal/cooling_device11/cur_state", int(on))
        self._write("sys/class/devfreq/17000000.gpu/max_freq", clock_hz)

    async def share(self, questions: int) -> float:
        """Asks `questions` questions; returns the share of the second half that the board answered."""
        local = []
        for question in range(questions):
            if question % 5 == 0:
                for paced in self._sensors:
                    await self.sensing.sample(paced)
            local.append(self._ask())
        return float(np.mean(local[questions // 2 :]))

    def _ask(self) -> bool:
        self.now += 0.25
        state = self.sensing.state
        link = LinkState(rtt_ms=60.0, jitter_ms=2.0, uplink_mbps=20.0, loss=0.0)
        options = (Option(LOCAL, 20_000), Option(CLOUD, 20_000, link=link))
        decision = self.controller.decide(Context(SIGNALS, options, state), now=self.now)
        runs = [self._run(decision.arm)]
        answered, audited = 0, False
        if decision.arm == LOCAL:
            follow_up = self.controller.escalate(decision, runs[0], now=self.now)
            if follow_up.arm is not None:
                runs.append(self._run(follow_up.arm))
                answered = int(follow_up.action == "escalate")
                audited = follow_up.action == "audit"
        self.controller.learn(decision, Outcome(tuple(runs), answered, audited), now=self.now)
        return runs[answered].arm == LOCAL

    def _run(self, arm: Arm) -> Execution:
        clock_hz = float((self.root / "sys/class/devfreq/17000000.gpu/max_freq").read_text())
        slower = (FULL_HZ / clock_hz) ** 2  # a lower mode also has fewer cores and slower memory
        mean_ms = 40.0 * slower if arm == LOCAL else 90.0
        compute_ms = mean_ms * math.exp(0.1 * float(self.rng.normal()))
        latency_ms = compute_ms if arm == LOCAL else compute_ms + 68.0
        energy_j = 8e-3 * compute_ms if arm == LOCAL else 0.15
        return Execution(arm, latency_ms, compute_ms, 0.0, energy_j, "yes", Confidence(0.95, -0.02, 1))


@pytest.fixture
def board(plant: Callable[[str], Path]) -> SimulatedBoard:
    return SimulatedBoard(plant("orin-nano-8gb"))


async def test_a_board_that_is_too_hot_is_not_asked_until_it_has_cooled(board: SimulatedBoard) -> None:
    assert await board.share(200) > 0.7
    board.set_temperature(91)
    assert await board.share(40) == 0.0
    board.set_temperature(55)
    assert await board.share(80) > 0.7


async def test_a_throttled_board_is_asked_less(board: SimulatedBoard) -> None:
    before = await board.share(200)
    board.set_throttling(True, FULL_HZ // 4)
    throttled = await board.share(200)
    board.set_throttling(False, FULL_HZ)
    after = await board.share(200)
    assert throttled < 0.2 < 0.7 < min(before, after)


async def test_a_lower_power_mode_moves_answers_to_the_cloud_and_a_higher_one_back(
    board: SimulatedBoard,
) -> None:
    assert board.controller.status().questions == 0
    full = await board.share(200)
    assert board.sensing.state.power_mode == "15W"
    board.set_power_mode(1, FULL_HZ // 3)
    low = await board.share(200)
    assert board.sensing.state.power_mode == "7W"
    assert board.sensing.state.clock_ratio == pytest.approx(1 / 3, rel=1e-3)
    board.set_power_mode(0, FULL_HZ)
    again = await board.share(200)
    assert low < 0.3 < 0.7 < min(full, again)


async def test_the_power_of_the_board_is_read_from_its_files(board: SimulatedBoard) -> None:
    await board.share(2)
    assert board.sensing.state.power_w == pytest.approx(4.984 * 1.12)
