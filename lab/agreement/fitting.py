"""Fits the weights of the evidence: one ridge logistic regression per task.

Evidence for two answers being the same has a weight of at least 0, evidence against it (`AGAINST`) at most 0:
a weight of the other sign fits what is special in the examples.
"""

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
from lab.errors import BenchError

Example = tuple[Task, Mapping[str, float], bool]
Bounds = tuple[float | None, float | None]
AGAINST: Final = frozenset(
    {
        "refused", "sense_differ", "choice_differ", "unlisted", "numbers_differ", "names_differ",
        "codes_differ", "opposed", "altered",
    }
)  # fmt: skip


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
    bounds = [(None, None), *((None, 0.0) if name in AGAINST else (0.0, None) for name in names)]
    return dict(zip(columns, _minimum(rows, truth, start, shrink, bounds).tolist(), strict=True))


def _minimum(
    rows: NDArray[np.float64],
    truth: NDArray[np.float64],
    start: NDArray[np.float64],
    shrink: NDArray[np.float64],
    bounds: Sequence[Bounds],
) -> NDArray[np.float64]:
    """Minimises the penalised log-loss within bounds.

    Raises:
        BenchError: scipy is not installed.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise BenchError("fitting needs scipy: pip install './lab[bench]'") from error

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores, distance = rows @ weights, weights - start
        fits = np.logaddexp(0, scores) - truth * scores
        p = 1 / (1 + np.exp(-np.clip(scores, -30, 30)))
        gradient = rows.T @ (p - truth) + shrink * distance
        return float(fits.sum() + 0.5 * (shrink * distance**2).sum()), gradient

    found: NDArray[np.float64] = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found
