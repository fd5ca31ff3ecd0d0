"""The decision: which arm answers a question, learned online.

Needs numpy alone (and Pillow for `image_signals`); reads no clock and draws no random number of its own.

>>> import numpy as np
>>> from controller import Arm, Context, Controller, ControllerSettings, Option, Signals, text_signals
>>> controller = Controller(ControllerSettings(), rng=np.random.default_rng(0))
"""

from controller.arm import Arm, Tier
from controller.combined_signals import combined_signals
from controller.context import Context, DeviceState, LinkState, Mode, Option
from controller.controller import Controller
from controller.decision import Decision, FollowUp, Prediction
from controller.drift import DriftEvent
from controller.errors import NoArm, SignalsError, SnapshotError
from controller.outcome import Confidence, Execution, Outcome
from controller.policy import DecisionLike, Policy
from controller.settings import (
    ControllerSettings,
    Forgetting,
    Learning,
    Limits,
    LinkDefaults,
    PowerModel,
    Prior,
    Weights,
)
from controller.signals import FEATURES, ImageSignals, Signals, TextSignals, image_signals, text_signals
from controller.status import Status
from controller.study import Example

__all__ = [
    "FEATURES",
    "Arm",
    "Confidence",
    "Context",
    "Controller",
    "ControllerSettings",
    "Decision",
    "DecisionLike",
    "DeviceState",
    "DriftEvent",
    "Example",
    "Execution",
    "FollowUp",
    "Forgetting",
    "ImageSignals",
    "Learning",
    "Limits",
    "LinkDefaults",
    "LinkState",
    "Mode",
    "NoArm",
    "Option",
    "Outcome",
    "Policy",
    "PowerModel",
    "Prediction",
    "Prior",
    "Signals",
    "SignalsError",
    "SnapshotError",
    "Status",
    "TextSignals",
    "Tier",
    "Weights",
    "combined_signals",
    "image_signals",
    "text_signals",
]
