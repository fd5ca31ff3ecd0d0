"""Uses the controller alone on 400 questions with made-up numbers: it decides, escalates and learns.

The board takes 90 ms and is usually right on sharp images only; the cloud takes 200 ms and is always right.
Run:  python examples/controller_alone.py
"""

import io

import numpy as np
from PIL import Image, ImageFilter

import controller as ctl

BOARD, CLOUD = ctl.Arm("local", "small", 96, "board"), ctl.Arm("cloud", "big", 0, "peer-1")
rng = np.random.default_rng(0)
policy = ctl.Controller(ctl.ControllerSettings(), rng=rng)
photo, text = Image.effect_noise((320, 240), 80), ctl.text_signals("how many cups are there?")


def run(arm: ctl.Arm, sharp: bool) -> ctl.Execution:
    right, ms = arm is CLOUD or rng.random() < (0.97 if sharp else 0.4), 90.0 if arm is BOARD else 200.0
    margin = rng.uniform(0.7, 1.0) if right else rng.uniform(0.0, 0.6)
    return ctl.Execution(arm, ms, ms, answer="2" if right else "3", confidence=ctl.Confidence(margin))


for number in range(400):
    sharp, file = bool(rng.random() < 0.6), io.BytesIO()
    photo.filter(ImageFilter.GaussianBlur(0 if sharp else 4)).save(file, "JPEG")
    signals = ctl.Signals(ctl.image_signals(file.getvalue()), text)
    options = (ctl.Option(BOARD), ctl.Option(CLOUD, len(file.getvalue()), link=ctl.LinkState(rtt_ms=60.0)))
    decision = policy.decide(ctl.Context(signals, options), now=number)
    runs = [run(decision.arm, sharp)]
    then = policy.escalate(decision, runs[0], now=number)
    runs += [run(then.arm, sharp)] if then.arm else []  # `escalate` sends this answer, `audit` compares it
    answered = len(runs) - 1 if then.action == "escalate" else 0
    policy.learn(decision, ctl.Outcome(tuple(runs), answered, then.action == "audit"), now=number)
    if number % 40 == 0:
        print(f"{number:3}  {'sharp' if sharp else 'blurred':7}  {then.action:8}  {decision.reason}")
print(f"answered by the board: {policy.status().edge_share:.0%}")
