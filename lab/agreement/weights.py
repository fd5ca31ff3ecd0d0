"""Fits the weights that ship on generated pairs.

`python -m lab.agreement.weights` writes agent/agreement/weights.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import agent.agreement
from agent.agreement.agreement import Weights
from agent.agreement.task import Task
from lab.agreement.fitting import example, fit
from lab.agreement.generating import generate

SEED: Final = 1
EACH: Final = 2000
PENALTY: Final = 3.0
DIGITS: Final = 2


def fitted(seed: int = SEED, each: int = EACH) -> dict[Task, dict[str, float]]:
    """Returns the weights after `each` generated pairs of every task, rounded, without those that are 0."""
    weights = fit(map(example, generate(seed, each)), PENALTY)
    return {
        task: {name: rounded for name, w in found.items() if (rounded := round(w, DIGITS))}
        for task, found in weights.items()
    }


def module(weights: Weights) -> str:
    """Returns the source of the module that ships the weights."""
    lines = [
        '"""The weights of the evidence, per task; `python -m lab.agreement.weights` writes this file."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
        "from agent.agreement.task import Task",
        "",
        "WEIGHTS: Final[Mapping[Task, Mapping[str, float]]] = {",
    ]
    for task, found in weights.items():
        lines += [
            f'    "{task}": {{',
            *(f'        "{name}": {weight},' for name, weight in found.items()),
            "    },",
        ]
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    path = Path(agent.agreement.__file__).with_name("weights.py")
    path.write_text(module(fitted()), encoding="utf-8")
