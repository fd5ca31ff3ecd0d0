"""Two arms of the board and two of the cloud, with a controller that can be taught about them."""

import numpy as np

from controller.arm import Arm
from controller.context import Context, DeviceState, LinkState, Option
from controller.controller import Controller
from controller.outcome import Confidence, Execution, Outcome
from controller.settings import ControllerSettings, Limits, Prior
from controller.signals import ImageSignals, Signals, text_signals

SMALL = Arm("local", "small", 64, "board")
SHARP = Arm("local", "sharp", 128, "board")
MID = Arm("cloud", "mid", 0, "peer-1")
STRONG = Arm("cloud", "strong", 0, "peer-2")
SETTINGS = ControllerSettings(
    priors={
        SMALL.skill: Prior(100.0, 0.6),
        SHARP.skill: Prior(200.0, 0.7),
        MID.skill: Prior(150.0, 0.8),
        STRONG.skill: Prior(300.0, 0.9),
    },
    limits=Limits(temp_c=85.0, memory_mb=200.0, battery_pct=15.0),
)
LINK = LinkState(rtt_ms=50.0, uplink_mbps=10.0)
SIGNALS = Signals(
    ImageSignals(320, 240, 20_000, "JPEG", 80.0, 0.5, 0.2, 0.0, 0.0, 20.0, 2.0, 0.1, 6.5),
    text_signals("How many cubes are there?"),
)
SURE, UNSURE = Confidence(0.999, -0.001, 1), Confidence(0.05, -1.2, 1)


def controller(settings: ControllerSettings = SETTINGS, seed: int = 0) -> Controller:
    return Controller(settings, rng=np.random.default_rng(seed))


def context(*arms: Arm, device: DeviceState | None = None, **what: object) -> Context:
    options = tuple(Option(arm, 20_000, link=LINK if arm.tier == "cloud" else None) for arm in arms)
    return Context(SIGNALS, options, device or DeviceState(), **what)  # type: ignore[arg-type]


def answered(arm: Arm, answer: str = "2", confidence: Confidence | None = None) -> Execution:
    latency_ms = 100.0 if arm.tier == "local" else 360.0
    return Execution(arm, latency_ms, 90.0, 0.0, 0.5, answer, confidence)


def taught(settings: ControllerSettings, count: int, cloud_agrees: bool, *, but_every: int = 0) -> Controller:
    """A controller that has seen the cloud agree, or differ, with all sure answers but every n-th."""
    taught = controller(settings)
    for i in range(count):
        decision = taught.decide(context(SMALL, STRONG), now=float(i))
        agrees = cloud_agrees != bool(but_every and i % but_every == 0)
        runs = [answered(SMALL, "2", SURE), answered(STRONG, "2" if agrees else "3")]
        taught.escalate(decision, runs[0], now=float(i))
        taught.learn(decision, Outcome(tuple(runs), 1), now=float(i))
    return taught
