"""Fits the weights of the evidence: one ridge logistic regression per task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.agreement.agreement import BIAS, Weights
from agent.agreement.claim import Claim
from agent.agreement.evidence import FEATURES, evidence
from agent.agreement.task import TASKS, Task
from lab.agreement.pairs import Pair

Example = tuple[Task, Mapping[str, float], bool]
STEPS: Final = 40


def example(pair: Pair) -> Example:
    """Returns the task, the evidence and the truth of a pair whose truth is known."""
    form = pair.resolved
    claims = Claim(pair.question, form, pair.a), Claim(pair.question, form, pair.b)
    return pair.task, evidence(pair.task, *claims), bool(pair.same)


def fit(
    examples: Iterable[Example], penalty: float, prior: Weights | None = None
) -> dict[Task, dict[str, float]]:
    """Returns the weights that are most probable after `examples`.

    Args:
        examples: those of each task are fitted on their own; a task without any keeps the prior.
        penalty: of the squared distance of the weights from `prior`; that of the bias is a tenth.
        prior: the weights before any example; zeros if None.
    """
    by_task: dict[Task, list[Example]] = {task: [] for task in TASKS}
    for one in examples:
        by_task[one[0]].append(one)
    return {
        task: _fit_task(FEATURES[task], found, penalty, {} if prior is None else prior[task])
        for task, found in by_task.items()
    }


def _fit_task(
    names: Sequence[str], examples: Sequence[Example], penalty: float, prior: Mapping[str, float]
) -> dict[str, float]:
    columns = (BIAS, *names)
    start = np.array([prior.get(name, 0.0) for name in columns])
    if not examples:
        return dict(zip(columns, start.tolist(), strict=True))
    rows = np.array([[1.0, *(found[name] for name in names)] for _, found, _ in examples])
    truth = np.array([same for *_, same in examples], float)
    shrink = np.full(len(columns), penalty)
    shrink[0] *= 0.1
    return dict(zip(columns, _newton(rows, truth, start, shrink).tolist(), strict=True))


def _newton(
    rows: NDArray[np.float64],
    truth: NDArray[np.float64],
    start: NDArray[np.float64],
    shrink: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Minimises the penalised log-loss by damped Newton steps."""

    def loss(weights: NDArray[np.float64]) -> float:
        scores = rows @ weights
        fits = np.logaddexp(0, scores) - truth * scores
        return float(fits.sum() + 0.5 * (shrink * (weights - start) ** 2).sum())

    weights: NDArray[np.float64] = start.copy()
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        gradient = rows.T @ (p - truth) + shrink * (weights - start)
        curvature = (rows * (p * (1 - p))[:, None]).T @ rows + np.diag(shrink)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-6 and loss(weights - size * step) > loss(weights):
            size /= 2
        weights = weights - size * step
        if float(np.abs(size * step).max()) < 1e-8:
            break
    return weights
