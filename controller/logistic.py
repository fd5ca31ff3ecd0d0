"""Logistic regression on Gaussian beliefs."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from controller.beliefs import Beliefs, Vector

KIN: Final = 0.3  # of a label: what an answer tells of the same model at another resolution
STEPS: Final = 20  # of Newton's method, halved into its bracket where it overshoots; two or three do
CLOSE: Final = 1e-3  # logits
SUREST: Final = 1e-4  # probability
FARTHEST: Final = math.log(1.0 / SUREST - 1.0)


def sigmoid(z: float) -> float:
    """1 / (1 + exp(-z)), for any z."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))


def sigmoids(z: Vector) -> Vector:
    """`sigmoid` of each, for z above -700."""
    return 1.0 / (1.0 + np.exp(-z))


def logit(p: float) -> float:
    """The inverse of `sigmoid`, with p held off 0 and 1."""
    p = max(SUREST, min(1.0 - SUREST, p))
    return math.log(p / (1.0 - p))


def logits(p: Vector) -> Vector:
    """`logit` of each."""
    held = np.minimum(np.maximum(p, SUREST), 1.0 - SUREST)
    return np.log(held / (1.0 - held))


def bounded(z: Vector) -> Vector:
    """Logits as `logits` would return them of their `sigmoids`."""
    return np.minimum(np.maximum(z, -FARTHEST), FARTHEST)


def averaged(z: float, variance: float) -> float:
    """The logit of E[sigmoid(N(z, variance))], by the probit approximation (MacKay 1992)."""
    return z / math.sqrt(1.0 + math.pi * variance / 8.0)


def centre(p: float, variance: float) -> float:
    """The z for which E[sigmoid(N(z, variance))] is `p`: the inverse of `averaged`."""
    return logit(p) * math.sqrt(1.0 + math.pi * variance / 8.0)


def learn_label(
    beliefs: Beliefs, name: str, x: Vector, label: float, weight: float, shift: float = 0.0
) -> None:
    """Move a row to the Laplace approximation of its posterior after one label.

    The label, in [0, 1], counts `weight` times and speaks of z = w . x alone, so the posterior's mode lies on
    the line w + Cx t and is found in one dimension: z' = z + s2 * weight * (label - sigmoid(z')) with
    s2 = x'Cx (the online form of Spiegelhalter and Lauritzen 1990). `shift` is added to z.
    """
    z, reach = float(beliefs.mean(name) @ x) + shift, beliefs.reach(name, x)
    variance = float(reach @ x)
    step = variance * weight
    if step < 1e-12:
        return
    mode = z
    low, high = sorted((z, z + step * (label - sigmoid(z))))
    for _ in range(STEPS):
        p = sigmoid(mode)
        excess = mode - z - step * (label - p)
        if abs(excess) < CLOSE:
            break
        low, high = (low, mode) if excess > 0 else (mode, high)
        mode -= excess / (1.0 + step * p * (1.0 - p))
        if not low < mode < high:
            mode = (low + high) / 2
    p = sigmoid(mode)
    precision = max(weight * p * (1.0 - p), 1e-6)
    # `move` moves z by variance / (variance + 1 / precision) of the residual: ask for mode - z.
    beliefs.move(name, reach, variance, (mode - z) * (variance + 1.0 / precision) / variance, precision)


def learn_with_kin(
    beliefs: Beliefs, skill: str, x: Vector, label: float, weight: float, kin: float = KIN
) -> None:
    """Learn a label of a skill, and `kin` times as heavy that of the same model at its other resolutions.

    They fail on much the same questions: this is the power prior of Ibrahim and Chen (2000), in which data of
    a like population count as a share of one's own.
    """
    learn_label(beliefs, skill, x, label, weight)
    for other in beliefs.kin(skill) if kin else ():
        learn_label(beliefs, other, x, label, kin * weight)
