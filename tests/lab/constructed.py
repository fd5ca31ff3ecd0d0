"""A constructed trace: the answers of eight arms are drawn at random, by a difficulty. Nothing is measured.

python tests/lab/constructed.py OUT.csv.gz [QUESTIONS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from controller.signals import FEATURES
from controller.text_signals import text_signals
from lab.trace.trace import Run, Trace, TracedQuestion, write_trace

TYPES = {
    "existence": ("Is there a red cube?", 1.6),
    "colour": ("What colour is the small ball?", 1.5),
    "shape": ("What shape is the big green thing?", 1.2),
    "count": ("How many cubes are there?", -0.6),
    "compare": ("Are there more cubes than balls?", -0.2),
    "spatial": ("What is left of the blue cube?", -0.4),
    "read": ("What number is printed on the sign?", -0.8),
}
ARMS = {  # skill in logits, computing time in ms, bytes
    "local/edge-small@64": (0.3, 20.0, 2500),
    "local/edge-small@96": (0.8, 35.0, 4500),
    "local/edge-large@64": (0.8, 45.0, 2500),
    "local/edge-large@96": (1.4, 80.0, 4500),
    "cloud/cloud-small@96": (2.2, 90.0, 4500),
    "cloud/cloud-small@128": (2.5, 120.0, 7000),
    "cloud/cloud-large@96": (2.6, 140.0, 4500),
    "cloud/cloud-large@128": (3.0, 200.0, 7000),
}
FLAGS = ("yes_no", "how_many", "what", "which", "count", "compare", "spatial", "read", "colour")


def constructed_trace(questions: int = 1200, *, seed: int = 0) -> Trace:
    """Return a trace with six questions per image.

    Blur, noise and darkness make answers less accurate; confidences contain further information.
    """
    rng = np.random.default_rng(seed)
    kinds = list(TYPES)
    asked, runs = [], {arm: [] for arm in ARMS}
    faults = np.zeros(3)
    for number in range(questions):
        if number % 6 == 0:
            faults = np.where(rng.random(3) < 0.2, rng.uniform(0.4, 0.9, 3), rng.uniform(0.0, 0.25, 3))
        kind = kinds[int(rng.integers(len(kinds)))]
        text, easy = TYPES[kind]
        z = easy - 1.6 * float(faults.sum()) + float(rng.normal(0.0, 1.6))
        asked.append(
            TracedQuestion(
                f"q{number}", f"image-{number // 6}", kind, text, "truth", _signals(text, faults, rng)
            )
        )
        wrong = f"wrong {rng.integers(3)}"
        for arm, (skill, compute_ms, payload) in ARMS.items():
            logit = 1.3 * (z + skill) + 0.3
            right = bool(rng.random() < 1 / (1 + np.exp(-logit)))
            shown = logit + float(rng.normal(0.0, 1.0)) + (1.0 if right else -1.0)
            run_ms = compute_ms * float(rng.lognormal(0.0, 0.1))
            answer = "truth" if right else wrong if rng.random() < 0.6 else f"wrong {rng.integers(3)}"
            runs[arm].append(
                Run(
                    answer=answer,
                    correct=right,
                    margin=max(0.0, 2.0 / (1.0 + float(np.exp(-shown))) - 1.0),
                    mean_logprob=-0.4 / (1.0 + float(np.exp(shown))),
                    tokens=int(rng.integers(1, 4)),
                    latency_ms=run_ms + 1.0,
                    compute_ms=run_ms,
                    energy_j=8.0 * run_ms / 1e3,
                    energy_source="modelled",
                    payload_bytes=int(payload * rng.uniform(0.7, 1.3)),
                )
            )
    return Trace(tuple(asked), {arm: tuple(column) for arm, column in runs.items()})


def _signals(text: str, faults: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    text_values = text_signals(text)
    values = dict.fromkeys(FEATURES, 0.0)
    values |= {"blur": faults[0], "noise": faults[1], "darkness": faults[2]}
    values |= {"edges": rng.uniform(0.1, 0.3), "entropy": rng.uniform(0.7, 0.9), "pixels": 0.4}
    values |= {
        "words": text_values.words / (text_values.words + 10),
        "clauses": text_values.clauses / (text_values.clauses + 2),
    }
    values |= {flag: float(getattr(text_values, flag, text_values.kind == flag)) for flag in FLAGS}
    return np.array([values[name] for name in FEATURES])


if __name__ == "__main__":
    write_trace(Path(sys.argv[1]), constructed_trace(int(sys.argv[2]) if len(sys.argv) > 2 else 6000))
